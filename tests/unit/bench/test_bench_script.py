import itertools
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.script import GREETING_S, plan
from bench.voices import Utterance

pytestmark = pytest.mark.unit

UTTERANCES = [Utterance(str(n), (b"",) * n) for n in (50, 75, 110)]


@given(st.integers(0, 10_000))
def test_utterances_follow_each_other_and_end_in_time(seed: int) -> None:
    planned = plan(UTTERANCES, UTTERANCES, 60.0, random.Random(seed))
    free_frame = round(GREETING_S * 50)
    for p in planned:
        assert p.at_frame >= free_frame
        free_frame = p.at_frame + len(p.utterance.frames)
    assert free_frame <= 60 * 50


def test_ten_turns_a_minute_a_third_over_the_bot() -> None:
    plans = [plan(UTTERANCES, UTTERANCES, 600.0, random.Random(seed)) for seed in range(20)]
    per_minute = sum(map(len, plans)) / len(plans) / 10
    assert 9.0 < per_minute < 10.5
    over = sum(
        0.3 < (b.at_frame - a.at_frame - len(a.utterance.frames)) / 50 < 2.3
        for said in plans
        for a, b in itertools.pairwise(said)
    )
    assert over / sum(map(len, plans)) == pytest.approx(1 / 3, abs=0.03)


def test_callers_are_not_in_step() -> None:
    firsts = {
        plan(UTTERANCES, UTTERANCES, 60.0, random.Random(seed))[0].at_frame for seed in range(50)
    }
    assert len(firsts) > 35
