"""Rooms of warm transfers: how far a person has come, and what a webhook is answered."""

from __future__ import annotations

import asyncio

import pytest

from telebot.call.errors import NotReached
from telebot.carriers.port import Answer
from telebot.carriers.rooms import MOST, MeetsInRooms, Room

pytestmark = pytest.mark.unit


class Carrier(MeetsInRooms):
    """Says the steps in words."""

    base = "https://voice.example/acme"

    def __init__(self) -> None:
        super().__init__()
        self.done: list[str] = []
        self.rung = asyncio.Event()

    async def ring(self, call, to, room, within_s):
        self.rung.set()
        return ""

    async def bring(self, call, room):
        self.done.append("brought")

    async def let_go(self, leg):
        self.done.append(f"let go of {leg}")

    def telling(self, room):
        return Answer(f"say {room.summary}, ask {self.room_url(room, 'told')}", "")

    def inside(self, room):
        return Answer(f"in {room.name}", "")

    def noted(self):
        return Answer("noted", "")

    def apology(self, reason):
        return Answer(f"sorry: {reason}", "")


def _asked(carrier, *, leg="L1", ended=False, reason="", **query):
    answer = carrier.asked(query, leg, ended=ended, reason=reason)
    return answer.body if answer else None


async def _ringing(carrier):
    task = asyncio.create_task(carrier.transfer_warm(None, "+1", "a summary", 9.0, lambda: None))
    await carrier.rung.wait()
    [name] = carrier._rooms
    return task, name


async def test_a_person_step_by_step():
    carrier = Carrier()
    task, name = await _ringing(carrier)
    assert _asked(carrier, room=name, step="status") == "noted"
    url = f"https://voice.example/acme/fallback?room={name}&step=told"
    assert _asked(carrier, room=name) == f"say a summary, ask {url}"
    assert _asked(carrier, room=name, step="told") == f"in {name}"
    await task
    assert carrier.done == ["brought"]
    assert _asked(carrier, room=name, step="join") == f"in {name}"
    assert _asked(carrier, room=name, step="status", ended=True) == "noted"


async def test_a_leg_that_only_a_webhook_has_named_is_let_go():
    carrier = Carrier()
    task, name = await _ringing(carrier)
    _asked(carrier, room=name, step="status")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await carrier.finish()
    assert carrier.done == ["let go of L1"]
    assert _asked(carrier, room=name) == "sorry: bot_hangup"


@pytest.mark.parametrize(
    ("reason", "answered", "told"),
    [
        ("busy", False, "busy"),
        ("declined", False, "declined"),
        ("cancelled", False, "no_answer"),
        ("", False, "no_answer"),
        ("", True, "hung_up"),
    ],
)
async def test_why_nobody_came(reason, answered, told):
    room = Room("a summary")
    if answered:
        room.answered("L1")
    room.ended(reason)
    with pytest.raises(NotReached) as error:
        await room.meet(9.0, lambda: None)
    assert error.value.reason == told


def test_a_webhook_without_a_room_is_another_matter():
    assert _asked(Carrier()) is None
    assert _asked(Carrier(), room="nobody's", step="told") == "sorry: bot_hangup"


async def test_rooms_are_forgotten_in_their_turn():
    carrier = Carrier()
    tasks = [
        asyncio.create_task(carrier.transfer_warm(None, "+1", "", 9.0, lambda: None))
        for _ in range(MOST + 5)
    ]
    await asyncio.sleep(0)
    assert len(carrier._rooms) == MOST
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await carrier.finish()
