"""What users prefer and an operator tries, at rest: read seldom, changed by one at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from telebot.records import choices as module
from telebot.records.choices import FRESH_S, Choices, TooMany
from telebot.records.store import Store
from telebot.records.tables import audit

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def store(tmp_path):
    made = Store("", tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def choices(store, clock):
    return Choices(store, lambda: NOW, clock)


async def put(choices, user, tree, owner="key"):
    await choices.change(owner, user, lambda _: tree, "preferences_stored")


async def test_another_servers_change_counts_after_a_moment(store, clock, choices):
    there = Choices(store, lambda: NOW, clock)
    assert await choices.preferences("key", "anna") is None
    assert await choices.flags() == {}
    await put(there, "anna", {"speed": 2.0})
    await there.put_flag("f", {"variants": []}, "key")
    assert await choices.preferences("key", "anna") is None
    clock.now += FRESH_S
    assert await choices.preferences("key", "anna") == {"speed": 2.0}
    assert list(await choices.flags()) == ["f"]


async def test_ones_own_change_counts_at_once(choices):
    await put(choices, "anna", {"speed": 2.0})
    assert await choices.preferences("key", "anna") == {"speed": 2.0}
    await put(choices, "anna", {"speed": 1.5})
    assert await choices.preferences("key", "anna") == {"speed": 1.5}
    assert await choices.forget("key", "anna")
    assert await choices.preferences("key", "anna") is None


async def test_many_users_take_bounded_memory(choices, monkeypatch):
    monkeypatch.setattr(choices._users, "_most", 3)
    for number in range(10):
        await choices.preferences("key", str(number))
    assert len(choices._users) == 3


async def test_there_are_bounds(choices, monkeypatch):
    monkeypatch.setattr(module, "MOST_USERS", 2)
    monkeypatch.setattr(module, "MOST_FLAGS", 1)
    for user in ("anna", "ben", "anna"):
        await put(choices, user, {})
    with pytest.raises(TooMany):
        await put(choices, "carl", {})
    await put(choices, "carl", {}, owner="another")
    for _ in range(2):
        await choices.put_flag("a", {}, "key")
    with pytest.raises(TooMany):
        await choices.put_flag("b", {}, "key")


async def test_two_changes_at_once_lose_nothing(choices):
    def more(name):
        return lambda known: {**(known or {}), name: 1}

    names = [f"n{number}" for number in range(8)]
    await asyncio.gather(*(choices.change("key", "", more(name), "x") for name in names))
    assert sorted(await choices.preferences("key", "")) == names


async def test_what_cannot_be_made_changes_nothing(choices, store):
    def refuses(_):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await choices.change("key", "", refuses, "x")
    assert await choices.stored("key", "") is None
    async with store.reading() as connection:
        assert (await connection.execute(select(audit))).all() == []


async def test_what_waits_to_be_written_is_forgotten_too(store, clock):
    written = []

    async def flushed():
        written.append(await choices.stored("key", "anna"))

    choices = Choices(store, lambda: NOW, clock, flushed)
    await put(choices, "anna", {"speed": 2.0})
    assert await choices.forget("key", "anna")
    assert written[0] is not None, "flushed after it was deleted"
