"""What the call page works out: the bars of a latency, what was cut, durations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.console import view
from telebot.records.shape import Latency, Providers, Turn

pytestmark = pytest.mark.unit
PARTS = ("heard", "endpointing", "stt", "llm_first_token", "tts_first_audio", "transport")


def latency(**parts: float | None) -> Latency:
    return Latency(**dict.fromkeys(PARTS) | parts)


def turn(bot: str = "Yes?", said: str = "Yes?", **parts: float | None) -> Turn:
    return Turn(
        index=0,
        started_at=datetime(2026, 11, 20, tzinfo=UTC),
        caller_text="Hello",
        bot_text=bot,
        bot_text_heard=said,
        interrupted=bot != said,
        providers=Providers(stt="local", llm="dialog", tts="local"),
        latency_ms=latency(**parts),
        caller_offset_s=None,
        bot_offset_s=None,
        cost=None,
    )


def test_recognising_counts_for_what_it_took_beyond_deciding():
    """Both begin at the end of speech."""
    found = view.stages(latency(heard=1000, endpointing=300, stt=450, llm_first_token=50))
    assert found == {"endpointing": 300, "stt": 150, "llm": 50, "other": 500}
    assert "stt" not in view.stages(latency(heard=1000, endpointing=300, stt=200))


def test_the_worst_part_is_named():
    (shown,) = view.turn_views([turn(heard=1200, endpointing=200, tts_first_audio=900)])
    assert (shown.worst.name, shown.worst.ms) == ("tts", 900)


def test_bars_of_one_call_share_a_scale():
    quick, slow = view.turn_views([_heard(500), _heard(2000)])
    assert sum(part.width for part in quick.parts) == pytest.approx(25)
    assert sum(part.width for part in slow.parts) == pytest.approx(100)
    assert (quick.slow, slow.slow) == (False, True)


def _heard(ms: float) -> Turn:
    return turn().model_copy(update={"latency_ms": latency(heard=ms, endpointing=ms / 2)})


@given(st.lists(st.dictionaries(st.sampled_from(PARTS), st.floats(0, 1e7) | st.none()), max_size=6))
def test_no_latency_breaks_a_bar(latencies):
    turns = [turn().model_copy(update={"latency_ms": latency(**parts)}) for parts in latencies]
    for shown in view.turn_views(turns):
        edge = 0.0
        for part in shown.parts:
            assert part.x == pytest.approx(edge, abs=0.01)
            edge = part.x + part.width
        assert edge <= 100.02


@pytest.mark.parametrize(
    ("bot", "heard", "cut", "rewritten"),
    [
        ("Good evening.", "Good evening.", "", False),
        ("Good evening.", "Good", " evening.", False),
        ("Good evening.", "", "Good evening.", False),
        ("half past 7", "half past seven", "", True),
    ],
)
def test_what_was_cut(bot, heard, cut, rewritten):
    (shown,) = view.turn_views([turn(bot=bot, said=heard)])
    assert (shown.cut, shown.rewritten) == (cut, rewritten)


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, ""), (0, "0:00"), (65.4, "1:05"), (3725, "1:02:05"), (-1, "0:00")]
)
def test_durations(seconds, text):
    assert view.clock(seconds) == text


@pytest.mark.parametrize(
    ("ms", "text"), [(None, ""), (0, "0 ms"), (640.4, "640 ms"), (1240, "1.24 s")]
)
def test_milliseconds(ms, text):
    assert view.milliseconds(ms) == text
