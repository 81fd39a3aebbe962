"""Timestamps for a wire that has none, on a virtual clock."""

from __future__ import annotations

import pytest

from telebot.carriers.codec import Stamps

pytestmark = pytest.mark.unit


class Arrivals:
    """Frames of 20 ms, each at a time of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.stamps = Stamps(lambda: self.now)

    def frames(self, count: int, every_s: float = 0.02) -> list[int]:
        told = []
        for _ in range(count):
            told.append(self.stamps.next(160))
            self.now += every_s
        return told


def test_a_steady_stream_is_counted():
    assert Arrivals().frames(100) == [20 * n for n in range(100)]


def test_a_stall_that_comes_after_all_at_once_moves_nothing():
    line = Arrivals()
    line.frames(50)
    line.now += 2.0
    assert line.frames(100, every_s=0.0) == [1000 + 20 * n for n in range(100)]
    assert line.frames(50) == [3000 + 20 * n for n in range(50)]


def test_a_pause_sets_the_count_forward():
    line = Arrivals()
    line.frames(50)
    line.now += 4.0
    after = line.frames(100)
    assert after[0] == 1000
    assert after[-1] == pytest.approx(1000 + 4000 + 20 * 99, abs=20)
    assert after == sorted(after)


def test_a_jittering_stream_is_counted():
    line = Arrivals()
    told = []
    for n in range(200):
        told += line.frames(1, every_s=0.0 if n % 10 else 0.2)
    assert told == [20 * n for n in range(200)]


def test_frames_of_any_length():
    line = Arrivals()
    assert [line.stamps.next(size) for size in (80, 160, 1600, 8)] == [0, 10, 30, 230]


def silent() -> Arrivals:
    """A line whose time began before its first frame, and which may be silent."""
    line = Arrivals()
    line.stamps = Stamps(lambda: line.now, silent_s=1.0)
    assert line.stamps.begin() == line.now
    return line


def test_the_first_frame_after_a_beginning_lies_where_it_comes():
    line = silent()
    line.now += 0.25
    assert line.frames(50) == [230 + 20 * n for n in range(50)]


def test_a_line_that_was_silent_goes_on_where_it_is():
    line = silent()
    line.now += 0.02
    assert line.frames(50)[-1] == 980
    line.now += 3.0
    assert line.frames(50) == pytest.approx([4000 + 20 * n for n in range(50)], abs=1)
    line.now += 0.4  # a stall, made up for
    assert line.frames(20, every_s=0.0)[0] == pytest.approx(5000, abs=1)
    assert line.frames(50)[0] == pytest.approx(5400, abs=1)
