"""A vendor fails in the middle of a call, in every way at every point: the call goes on, and not a
word of the reply is missing. How long the caller waits is `python -m bench failover`'s to say."""

from __future__ import annotations

from pathlib import Path

import pytest
from failing import rehearsed, wrong

from bench.failover_cases import KINDS, USUAL, matrix
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

AT_ONCE = 12  # callers mostly wait


@pytest.mark.timeout(600)
async def test_every_fault_at_every_point(speech: LocalSpeech, tmp_path: Path) -> None:
    cases = [case for kind in KINDS for case in matrix(kind, USUAL[kind])]
    outcomes = await rehearsed(cases, speech, tmp_path, AT_ONCE)
    assert wrong(outcomes) == []
    by_name = {outcome.case.name: outcome.failovers for outcome in outcomes}
    # the faults were there: who is refused is given up
    for kind in KINDS:
        name = f"{kind}-{USUAL[kind]}-401-connect"
        assert f"{kind} {USUAL[kind]} refused" in by_name[name], by_name[name]
