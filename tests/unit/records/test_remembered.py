"""What the database said a moment ago: read once for all who wait, kept, forgotten."""

from __future__ import annotations

import asyncio

import pytest

from telebot.records.remembered import Remembered

pytestmark = pytest.mark.unit


class Database:
    """Answers when it is let; counts how often it was asked."""

    def __init__(self) -> None:
        self.at_s = 0.0
        self.asked = 0
        self.value = 1
        self.error: Exception | None = None
        self.begun = asyncio.Event()
        self.lets = asyncio.Event()
        self.lets.set()
        self.kept = Remembered(self.read, lambda: self.at_s, 2.0, most=2)

    async def read(self, key: str) -> int:
        self.asked += 1
        self.begun.set()
        value, error = self.value, self.error
        await self.lets.wait()
        if error is not None:
            raise error
        return value


async def test_it_is_kept_for_a_while_and_no_longer() -> None:
    db = Database()
    assert await db.kept.get("a") == 1
    db.value, db.at_s = 2, 1.9
    assert (await db.kept.get("a"), db.asked) == (1, 1)
    db.at_s = 2.0
    assert (await db.kept.get("a"), db.asked) == (2, 2)


async def test_all_who_wait_share_one_read() -> None:
    db = Database()
    db.lets.clear()
    waiting = [asyncio.create_task(db.kept.get("a")) for _ in range(5)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    db.lets.set()
    assert await asyncio.gather(*waiting[1:]) == [1] * 4
    assert db.asked == 1
    assert waiting[0].cancelled()


async def test_an_error_reaches_everybody_and_is_not_kept() -> None:
    db = Database()
    db.error = OSError("away")
    found = await asyncio.gather(*(db.kept.get("a") for _ in range(3)), return_exceptions=True)
    assert [str(each) for each in found] == ["away"] * 3
    db.error = None
    assert (await db.kept.get("a"), db.asked) == (1, 2)


async def test_nobody_is_left_to_hear_an_error() -> None:
    db = Database()
    db.error = OSError("away")
    db.lets.clear()
    waiting = asyncio.create_task(db.kept.get("a"))
    await db.begun.wait()
    waiting.cancel()
    db.lets.set()
    await asyncio.gather(waiting, return_exceptions=True)
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("all_of_it", [False, True])
async def test_what_is_read_while_it_changes_is_not_kept(all_of_it: bool) -> None:
    db = Database()
    db.lets.clear()
    before = asyncio.create_task(db.kept.get("a"))
    await db.begun.wait()
    db.value = 2
    if all_of_it:
        db.kept.forget_all()
    else:
        db.kept.forget("a")
    after = asyncio.create_task(db.kept.get("a"))
    await asyncio.sleep(0)
    db.lets.set()
    assert await asyncio.gather(before, after) == [1, 2]
    assert (await db.kept.get("a"), db.asked) == (2, 2)


async def test_the_oldest_goes_first() -> None:
    db = Database()
    for key in ("a", "b", "c", "b"):
        await db.kept.get(key)
    assert db.asked == 3
    await db.kept.get("a")
    assert db.asked == 4
