"""What is judged missing, repeated and silent in a call with a failing vendor."""

from __future__ import annotations

import numpy as np
import pytest

from bench.failover import missed, tables, wrong
from bench.failover_calls import Heard, Outcome
from bench.failover_cases import Case, matrix, simulated
from bench.failover_words import Clip, Floats, Verdict, judge
from telebot.providers.spoken import Word

pytestmark = pytest.mark.unit

SENTENCE = "one two three four five six"
WORD_S = 0.4
PAUSE = np.zeros(1600, np.float32)


def rest(first: int) -> Clip:
    """The sentence from a word on: another voice's noise each time."""
    words = SENTENCE.split()[first:]
    noise = np.random.default_rng(first).normal(0, 0.1, round(len(words) * WORD_S * 8000))
    times = tuple(Word(i * WORD_S, (i + 1) * WORD_S, text) for i, text in enumerate(words))
    return Clip(noise.astype(np.float32), times)


RESTS = [rest(first) for first in range(6)]


def said(first: int, words: float) -> Floats:
    return RESTS[first].samples[: round(words * WORD_S * 8000)]


def heard(*pieces: Floats) -> Verdict:
    return judge(np.concatenate([PAUSE, *pieces, PAUSE]), {SENTENCE: RESTS})


def test_a_whole_sentence() -> None:
    assert heard(said(0, 6)) == Verdict()


def test_a_gap_inside_a_word_takes_nothing_away() -> None:
    assert heard(said(0, 2.5), PAUSE, said(0, 6)[len(said(0, 2.5)) :]) == Verdict()


def test_a_stumble_at_the_start_takes_nothing_away() -> None:
    assert heard(said(0, 0.2), PAUSE, said(0, 6)[len(said(0, 0.2)) :]) == Verdict()


def test_a_word_that_was_broken_off_is_said_again() -> None:
    assert heard(said(0, 3.7), said(3, 3)) == Verdict((), ("four",))
    assert heard(said(0, 3.7), said(3, 3)).good


def test_a_second_failure_goes_on_from_the_first_rest() -> None:
    assert heard(said(0, 2), said(2, 2), PAUSE, said(4, 2)) == Verdict()


def test_words_said_twice() -> None:
    assert heard(said(0, 4), said(2, 4)).repeated == ("three", "four")
    assert not heard(said(0, 4), said(2, 4)).good


def test_a_word_that_nobody_says() -> None:
    assert heard(said(0, 3), said(4, 2)).missing == ("four",)


def test_the_end_is_missing() -> None:
    assert heard(said(0, 2)).missing == ("three", "four", "five", "six")
    assert heard().missing == tuple(SENTENCE.split())


def outcome(fault: str, point: str, first_s: float | None, *silences_s: float) -> Outcome:
    case = Case("llm", "openai", fault, point)
    reply = Heard("Hello.", Verdict(), first_s, list(silences_s), "Hello.")
    return Outcome(case, [reply], "caller_hangup")


def test_silence_is_what_a_healthy_call_has_not() -> None:
    well = outcome("", "", 0.3, 0.25)
    assert outcome("drop", "middle", 0.5, 0.25, 0.75).silence_s(well) == pytest.approx(1.25)
    assert outcome("drop", "middle", 0.5).silence_s(well) == pytest.approx(0.5)
    assert outcome("drop", "middle", None).silence_s(well) is None


def test_what_misses_its_target_is_said() -> None:
    calls = [outcome("", "", 0.3), outcome("drop", "connect", 2.6), outcome("500", "end", None)]
    text, figures = tables(calls)
    assert "| drop | 2.60 |" in text
    cost = {"open": {}, "without": {}, "later_ms": 12.0}
    assert [fault.split(",")[0] for fault in missed(figures, {"llm": cost})] == [
        "1 unanswered",
        "worst silence 2.6 s",
        "silence p95 2.6 s",
        "llm: an open breaker adds 12.0 ms",
    ]


def test_a_call_that_ends_otherwise_is_wrong() -> None:
    call = outcome("drop", "connect", 0.5)
    assert wrong([call])[1] == 0
    call.reason = "server_error"
    call.replies[0].recorded = ""
    text, count = wrong([call])
    assert count == 1
    assert "server_error" in text
    assert "the record has ''" in text


def test_every_fault_at_every_point_and_none() -> None:
    cases = matrix("tts", "elevenlabs")
    assert len(cases) == 37
    assert len({case.name for case in cases}) == 37
    assert [str(fault) for fault in cases[-1].command] == ["elevenlabs.tts=slow_reader@end"]
    assert Case("stt", "openai-whisper", "500", "first").command[0].vendor == "openai"
    assert "openai-whisper" in simulated("stt")
    assert "faster-whisper" not in simulated("stt")
