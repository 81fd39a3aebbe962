import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.playout import PlayoutBuffer

pytestmark = pytest.mark.unit


def test_audio_is_played_in_real_time_at_8_khz() -> None:
    buffer = PlayoutBuffer()
    assert buffer.media(160, 10.0) == 10.0  # dry since the beginning of the clock
    assert buffer.playing(10.019)
    assert not buffer.playing(10.0201)
    assert buffer.ahead_s(10.005) == pytest.approx(0.015)


def test_audio_that_comes_early_waits_its_turn() -> None:
    buffer = PlayoutBuffer()
    buffer.media(1600, 1.0)
    assert buffer.media(800, 1.05) == 0.0
    assert buffer.end_s == pytest.approx(1.3)


def test_a_late_piece_reports_how_long_the_caller_heard_nothing() -> None:
    buffer = PlayoutBuffer()
    buffer.media(160, 1.0)
    assert buffer.media(160, 1.05) == pytest.approx(0.03)
    assert buffer.end_s == pytest.approx(1.07)


def test_a_mark_is_answered_when_the_audio_before_it_was_played() -> None:
    buffer = PlayoutBuffer()
    buffer.media(160, 1.0)
    buffer.mark("a")
    buffer.media(160, 1.0)
    buffer.mark("b")
    assert buffer.due_marks(1.019) == []
    assert buffer.due_marks(1.021) == ["a"]
    assert buffer.due_marks(1.041) == ["b"]
    assert buffer.due_marks(2.0) == []


def test_a_mark_behind_nothing_is_answered_at_once() -> None:
    buffer = PlayoutBuffer()
    buffer.mark("empty")
    assert buffer.due_marks(0.0) == ["empty"]


def test_clear_empties_the_buffer_and_answers_every_mark() -> None:
    buffer = PlayoutBuffer()
    buffer.media(8000, 1.0)
    buffer.mark("a")
    buffer.media(8000, 1.0)
    buffer.mark("b")
    assert buffer.clear(1.25) == ["a", "b"]
    assert not buffer.playing(1.25)
    assert buffer.played_bytes == 2000
    assert buffer.due_marks(9.0) == []
    assert buffer.clear(1.3) == []


def test_clear_of_a_buffer_that_ran_dry_changes_nothing() -> None:
    buffer = PlayoutBuffer()
    buffer.media(160, 1.0)
    buffer.clear(5.0)
    assert buffer.played_bytes == 160
    assert buffer.end_s == pytest.approx(1.02)


@given(st.lists(st.tuples(st.floats(0, 2), st.integers(1, 4000)), min_size=1, max_size=50))
def test_dry_time_and_played_time_add_up(pieces: list[tuple[float, int]]) -> None:
    buffer, now_s, dry_s = PlayoutBuffer(), 0.0, 0.0
    for wait_s, size in pieces:
        now_s += wait_s
        dry_s += buffer.media(size, now_s)
    audio_s = sum(size for _, size in pieces) / 8000
    assert buffer.end_s == pytest.approx(dry_s + audio_s)
    assert buffer.ahead_s(now_s) <= audio_s + 1e-9


@given(
    st.lists(st.sampled_from(["media", "mark", "clear", "wait"]), max_size=60),
)
def test_every_mark_is_answered_once_and_in_order(events: list[str]) -> None:
    buffer, now_s, sent, answered = PlayoutBuffer(), 0.0, [], []
    for number, event in enumerate(events):
        if event == "media":
            buffer.media(160, now_s)
        elif event == "mark":
            sent.append(str(number))
            buffer.mark(str(number))
        elif event == "clear":
            answered += buffer.clear(now_s)
        else:
            now_s += 0.03
            answered += buffer.due_marks(now_s)
    answered += buffer.due_marks(now_s + 10)
    assert answered == sent
