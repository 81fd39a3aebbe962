"""Who works and who waits, on a virtual clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from virtual_time import run

from telebot.call.errors import ApiError
from telebot.records.keys import Tier
from telebot.voice.line import LARGE_BYTES, LATER_S, Asker, Line
from telebot.voice_settings import VoiceSettings

pytestmark = pytest.mark.unit


def line(**settings: Any) -> Line:
    return Line(VoiceSettings.model_validate(settings), lambda: asyncio.get_running_loop().time())


async def works(
    line: Line,
    done: list[str],
    name: str,
    key: str = "",
    tier: Tier = Tier.NORMAL,
    *,
    size: int = 0,
) -> None:
    """Take a place, say so, hold it for a second."""
    try:
        place = await line.take(Asker(key or name, tier, size))
    except ApiError as error:
        done.append(f"{name}: {error.code}")
        return
    done.append(name)
    await asyncio.sleep(1.0)
    place.leave()


def test_the_urgent_go_first_and_within_a_tier_everybody_has_a_turn():
    async def scene() -> None:
        one, done = line(at_once=1), list[str]()
        jobs = [("first", "a", Tier.NORMAL)]
        jobs += [(f"low{number}", "a", Tier.LOW) for number in range(2)]
        jobs += [(f"a{number}", "a", Tier.NORMAL) for number in range(3)]
        jobs += [("b0", "b", Tier.NORMAL), ("high", "c", Tier.HIGH), ("d-low", "d", Tier.LOW)]
        tasks = []
        for name, key, tier in jobs:
            tasks.append(asyncio.create_task(works(one, done, name, key, tier)))
            await asyncio.sleep(0)
        assert [one.waiting(tier) for tier in Tier] == [1, 4, 3]
        await asyncio.gather(*tasks)
        assert done[:2] == ["first", "high"]
        assert done.index("b0") < done.index("a1")
        assert max(done.index(f"a{number}") for number in range(3)) < done.index("low0")
        assert done.index("d-low") < done.index("low1")
        assert (one.all.running, one.waiting(Tier.LOW)) == (0, 0)

    run(scene())


def test_who_waits_too_long_or_finds_the_queue_full_is_told_when_to_come_again():
    async def scene() -> None:
        one, done = line(at_once=1, queue_length=2, queue_s=1.5), list[str]()
        place = await one.take(Asker("busy"))
        waits = [asyncio.create_task(works(one, done, name, "a")) for name in ("x", "y")]
        await asyncio.sleep(0)
        with pytest.raises(ApiError) as raised:
            await one.take(Asker("a"))
        assert (raised.value.status, raised.value.code) == (503, "busy")
        assert LATER_S[0] <= raised.value.retry_after_s <= LATER_S[1]
        assert raised.value.metadata == {"waiting": 2, "places": 1, "tier": "normal"}
        await asyncio.gather(*waits)
        assert done == ["x: busy", "y: busy"]
        place.leave()
        place.leave()  # idempotent
        assert one.all.running == 0
        assert (await one.take(Asker("a"))).waited_s == 0

    run(scene())


def test_a_key_that_fills_the_queue_makes_room_for_others():
    async def scene() -> None:
        one, done = line(at_once=1, queue_length=4), list[str]()
        await one.take(Asker("greedy"))
        tasks = [asyncio.create_task(works(one, done, f"g{n}", "greedy")) for n in range(4)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(works(one, done, "other")))
        await asyncio.sleep(0)
        assert one.all.waiting == 4
        await asyncio.sleep(0)
        assert done == ["g3: busy"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert one.all.waiting == 0

    run(scene())


def test_large_recordings_are_few_and_hold_up_nothing_small():
    async def scene() -> None:
        one, done = line(at_once=4, large_at_once=1), list[str]()
        size = LARGE_BYTES + 1
        tasks = [asyncio.create_task(works(one, done, f"l{n}", size=size)) for n in range(3)]
        tasks += [asyncio.create_task(works(one, done, f"s{n}")) for n in range(3)]
        await asyncio.sleep(0.5)
        assert done == ["l0", "s0", "s1", "s2"]
        await asyncio.gather(*tasks)
        assert sorted(done) == ["l0", "l1", "l2", "s0", "s1", "s2"]
        assert (one.all.running, one.large.running) == (0, 0)

    run(scene())


def test_who_leaves_while_waiting_frees_what_it_had():
    async def scene() -> None:
        one, done = line(at_once=1, large_at_once=1), list[str]()
        place = await one.take(Asker("a"))
        leaves = asyncio.create_task(works(one, done, "large", size=LARGE_BYTES + 1))
        await asyncio.sleep(0.1)
        assert (one.large.running, one.all.waiting) == (1, 1)
        leaves.cancel()
        await asyncio.gather(leaves, return_exceptions=True)
        assert (one.large.running, one.all.waiting) == (0, 0)
        place.leave()
        assert one.all.running == 0

    run(scene())


def test_what_is_said_of_later_follows_how_long_work_takes():
    async def scene() -> None:
        one = line(at_once=1, queue_length=1, queue_s=0)
        for _ in range(60):
            place = await one.take(Asker("a"))
            await asyncio.sleep(10)
            place.leave()
        await one.take(Asker("a"))
        with pytest.raises(ApiError) as raised:
            await one.take(Asker("b"))
        assert 9 < raised.value.retry_after_s < 11

    run(scene())
