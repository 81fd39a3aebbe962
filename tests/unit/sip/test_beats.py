"""The one beat of all streams: each in its turn, none held up by another, on a virtual clock."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from virtual_time import run

from telebot.sip.beats import BEAT_S, Beats

pytestmark = pytest.mark.unit


def test_each_is_called_at_its_own_period_and_they_are_spread():
    async def scene() -> None:
        beats = Beats()
        calls: dict[int, list[int]] = {n: [] for n in range(4)}
        for numbers in calls.values():
            beats.join(2, lambda number, now, numbers=numbers: numbers.append(number))
        await asyncio.sleep(1.005)
        beats.close()
        assert all(len(numbers) in (50, 51) for numbers in calls.values())
        assert sorted(numbers[0] % 2 for numbers in calls.values()) == [0, 0, 1, 1]
        assert all(b - a == 2 for numbers in calls.values() for a, b in pairwise(numbers))

    run(scene())


def test_without_streams_there_is_no_timer_and_the_count_goes_on_with_the_next():
    async def scene() -> None:
        beats, numbers = Beats(), []

        def on_beat(number: int, now: float) -> None:
            numbers.append(number)

        beats.join(1, on_beat)
        await asyncio.sleep(0.105)
        beats.leave(on_beat)
        await asyncio.sleep(1)
        assert beats._timer is None
        last = numbers[-1]
        beats.join(1, on_beat)
        await asyncio.sleep(0.105)
        beats.close()
        assert numbers[-1] > last

    run(scene())


def test_one_that_fails_is_left_out_and_the_others_go_on():
    async def scene() -> None:
        beats, numbers, failed = Beats(), [], []

        def bad(number: int, now: float) -> None:
            failed.append(number)
            raise ZeroDivisionError

        beats.join(1, bad)
        beats.join(1, lambda number, now: numbers.append(number))
        await asyncio.sleep(0.105)
        beats.close()
        assert len(failed) == 1
        assert len(numbers) >= 10

    run(scene())


def test_one_may_leave_and_join_within_its_beat():
    async def scene() -> None:
        beats, numbers = Beats(), []

        def on_beat(number: int, now: float) -> None:
            numbers.append(number)
            beats.join(3, on_beat)

        beats.join(1, on_beat)
        await asyncio.sleep(0.2)
        beats.close()
        assert len(numbers) > 3

    run(scene())


@pytest.mark.parametrize("period", [1, 2, 6])
@pytest.mark.parametrize("stall_s", [0.02, 0.05, 0.5])
def test_after_a_stall_little_is_made_up_for(stall_s, period):
    """`_run` as the loop would call it so much too late."""

    class Loop:
        now = 100.0

        def time(self) -> float:
            return self.now

        def call_at(self, when: float, *args: object) -> None:
            self.when = when

    loop, beats, numbers = Loop(), Beats(), []
    beats._began = loop.now
    slots = [{lambda number, now: numbers.append(number): None} for _ in range(period)]
    beats._slots = {period: slots}
    beats._where = {on_beat: slot for slot in slots for on_beat in slot}
    loop.now += BEAT_S + stall_s
    beats._run(loop)
    assert 1 <= len(numbers) <= 3 * period
    assert beats.beat == round((BEAT_S + stall_s) / BEAT_S)
    assert loop.when == pytest.approx(loop.now + BEAT_S)
