"""Vendors' rate limits on a virtual clock: who waits, for how long, who goes first."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from virtual_time import run

from telebot.providers.pacing import PERIOD_S, Pace, Pacing, Priority, Slot, TurnedAway
from telebot.settings import VendorLimits

pytestmark = pytest.mark.unit


def clock() -> float:
    return asyncio.get_running_loop().time()


def pace(**limits: int) -> Pace:
    return Pace("acme", VendorLimits(**limits), clock)


def scene(work: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A test that runs on a virtual clock, and leaves no task behind."""

    def test() -> None:
        run(work())

    test.__name__ = work.__name__
    return test


async def asks(line: Pace, done: list[str], name: str, *, hold_s: float = 1.0, **how: Any) -> None:
    """Wait for a slot, say so, hold it for a while."""
    try:
        slot = await line.slot(how.pop("who", name), how.pop("wait_s", 100.0), **how)
    except TurnedAway:
        done.append(f"not {name}")
        return
    done.append(name)
    await asyncio.sleep(hold_s)
    slot.release()


async def all_of(*work: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(*work)


@scene
async def test_within_the_limits_nobody_waits() -> None:
    line, began = pace(requests_per_minute=3, concurrent=3, characters_per_minute=30), clock()
    for _ in range(3):
        await line.slot("a", 0.0, 10)
    assert clock() == began
    assert (line.running, line.paced, line.turned_away, line.waiting) == (3, 0, 0, 0)


@scene
async def test_no_minute_has_more_requests_than_the_limit() -> None:
    line, at = pace(requests_per_minute=5), []
    for _ in range(25):
        (await line.slot("a", 100.0)).release()
        at.append(clock())
        await asyncio.sleep(3.0)
    for first in at:
        assert sum(first <= each < first + PERIOD_S - 0.001 for each in at) <= 5
    assert at[-1] - at[0] < 25 / 5 * PERIOD_S, "and no more waiting than it takes"


@scene
async def test_no_minute_has_more_characters_than_the_limit() -> None:
    line, told = pace(characters_per_minute=100), []
    for characters in (60, 30, 20, 90, 10, 100):
        (await line.slot("a", 1000.0, characters)).release()
        told.append((clock(), characters))
    for first, _ in told:
        within = [n for at, n in told if first <= at < first + PERIOD_S - 0.001]
        assert sum(within) <= 100


@scene
async def test_a_text_longer_than_the_limit_is_let_through_alone() -> None:
    line = pace(characters_per_minute=100)
    (await line.slot("a", 0.0, 500)).release()
    with pytest.raises(TurnedAway):
        await line.slot("a", 59.0, 1)
    began = clock()
    (await line.slot("a", 61.0, 1)).release()
    assert clock() - began == pytest.approx(PERIOD_S, abs=0.001)


@scene
async def test_so_many_at_once_and_the_next_when_one_is_over() -> None:
    line, done = pace(concurrent=2), []
    await all_of(*(asks(line, done, name, hold_s=1.0) for name in "abcd"))
    assert done == ["a", "b", "c", "d"]
    assert (line.paced, line.running, line.waited_s) == (2, 0, pytest.approx(2.0))


@scene
async def test_who_cannot_be_served_in_time_is_turned_away_at_once() -> None:
    line, began = pace(requests_per_minute=1), clock()
    (await line.slot("a", 0.0)).release()
    with pytest.raises(TurnedAway):
        await line.slot("a", 0.5)
    assert clock() == began, "there is nothing to wait for"
    assert line.turned_away == 1


@scene
async def test_who_is_behind_others_knows_that_too() -> None:
    line, done = pace(requests_per_minute=2), []
    await line.slot("a", 0.0)
    await asyncio.sleep(10)
    await line.slot("a", 0.0)
    waiting = [asyncio.create_task(asks(line, done, name, wait_s=55)) for name in "bc"]
    await asyncio.sleep(0)
    assert done == ["not c"], "the one place of the next 55 s is for b"
    await all_of(*waiting)
    assert done == ["not c", "b"]


@scene
async def test_where_it_is_not_known_the_wait_ends_with_the_time_there_is() -> None:
    line, began = pace(concurrent=1), clock()
    slot = await line.slot("a", 0.0)
    with pytest.raises(TurnedAway):
        await line.slot("b", 0.4)
    assert clock() - began == pytest.approx(0.4)
    assert line.waiting == 0
    slot.release()
    await line.slot("b", 0.0)


@scene
async def test_live_calls_go_before_what_came_earlier_and_nobody_waits_for() -> None:
    line, done = pace(concurrent=1), []
    first = await line.slot("a", 0.0)
    other = Priority.OTHER
    waiting = [
        asyncio.create_task(asks(line, done, name, priority=priority))
        for name, priority in (("probe", other), ("job", other), ("call", Priority.LIVE))
    ]
    await asyncio.sleep(1)
    first.release()
    await all_of(*waiting)
    assert done == ["call", "probe", "job"]


@scene
async def test_those_who_ask_for_much_do_not_hold_up_the_others() -> None:
    line, done = pace(concurrent=1), []
    first = await line.slot("x", 0.0)
    names = ("a1", "a2", "a3", "b1", "b2", "c1")
    waiting = [asyncio.create_task(asks(line, done, name, who=name[0])) for name in names]
    await asyncio.sleep(1)
    first.release()
    await all_of(*waiting)
    assert done == ["a1", "b1", "c1", "a2", "b2", "a3"]


@scene
async def test_newcomers_do_not_starve_who_has_waited_long() -> None:
    line, done = pace(concurrent=1), []
    work = [asyncio.create_task(asks(line, done, f"a{n}", who="a")) for n in range(4)]
    for n in range(12):
        await asyncio.sleep(1)
        work.append(asyncio.create_task(asks(line, done, f"b{n}")))
    await all_of(*work)
    assert done.index("a3") < done.index("b8")


@scene
async def test_a_wait_that_is_cancelled_leaves_nothing_behind() -> None:
    line, done = pace(concurrent=1), []
    slot = await line.slot("a", 0.0)
    waiting = [asyncio.create_task(asks(line, done, name)) for name in "bc"]
    await asyncio.sleep(1)
    waiting[0].cancel()
    await asyncio.sleep(0)
    assert line.waiting == 1
    slot.release()
    waiting[1].cancel()  # in the very moment it is let through
    await asyncio.gather(*waiting, return_exceptions=True)
    assert (done, line.waiting, line.running) == ([], 0, 0)
    await line.slot("d", 0.0)


@scene
async def test_a_big_request_at_the_head_is_not_overtaken_for_ever() -> None:
    line, done = pace(characters_per_minute=100), []
    (await line.slot("x", 0.0, 50)).release()
    work = [asyncio.create_task(asks(line, done, "big", characters=100))]
    for n in range(3):
        await asyncio.sleep(1)
        work.append(asyncio.create_task(asks(line, done, f"small{n}", characters=10, wait_s=500)))
    await all_of(*work)
    assert done[0] == "big"


def test_a_full_queue_turns_away_the_least_wanted() -> None:
    async def work() -> None:
        line, done = Pace("acme", VendorLimits(concurrent=1), clock, most_waiting=2), []
        slot = await line.slot("x", 0.0)
        names = (("probe", Priority.OTHER), ("one", Priority.LIVE), ("two", Priority.LIVE))
        waiting = [
            asyncio.create_task(asks(line, done, name, priority=priority))
            for name, priority in (*names, ("three", Priority.LIVE), ("late", Priority.OTHER))
        ]
        await asyncio.sleep(1)
        slot.release()
        await all_of(*waiting)
        assert sorted(done) == ["not late", "not probe", "not three", "one", "two"]
        assert line.turned_away == 3

    run(work())


@scene
async def test_a_slot_is_given_back_once() -> None:
    line = pace(concurrent=2)
    slot: Slot = await line.slot("a", 0.0)
    await line.slot("b", 0.0)
    slot.release()
    slot.release()
    assert line.running == 1


@scene
async def test_a_place_for_now_or_not_at_all() -> None:
    line = pace(concurrent=1)
    slot = line.slot_now()
    assert slot is not None
    assert line.slot_now() is None
    slot.release()
    assert line.slot_now() is not None


def test_limits_are_of_a_provider_or_of_one_of_its_models_and_by_key() -> None:
    limits = {"acme": VendorLimits(concurrent=2), "acme/big": VendorLimits(concurrent=1)}
    known = Pacing({**limits, "idle": VendorLimits()}, lambda: 0.0)
    assert known.of("other/model") is None
    assert known.of("idle/model") is None, "without a limit it costs nothing"
    assert known.of("acme/small") is known.of("acme/tiny")
    assert known.of("acme/big") is not known.of("acme/small")
    assert known.of("acme/small", "key one") is not known.of("acme/small", "key two")
    assert [each.name for each in known] == ["acme", "acme/big", "acme", "acme"]
