"""What a session's client asks for: one after another, answered, and written down."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from telebot.call.errors import ProviderError
from telebot.voice.session_orders import Order, Reset, SetLanguage, Text
from telebot.web.realtime.orders import MOST_WAITING, Orders, Unable

pytestmark = pytest.mark.unit

NOW = {"language": "en-GB", "providers": {"realtime": "acme/1"}}


class Session:
    """Does what it is asked once `go` is set, or fails by `fault`."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.fault: Exception | None = None
        self.go = asyncio.Event()
        self.orders = Orders(self._do, self.told.append, self._note, lambda: 1.0, "id1")

    async def _do(self, order: Order) -> Mapping[str, Any]:
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return NOW

    def _note(self, name: str, **fields: Any) -> None:
        self.events.append((name, fields))

    async def settled(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)


async def test_a_change_is_answered_and_written_down() -> None:
    session = Session()
    session.go.set()
    session.orders.put(SetLanguage(type="setLanguage", language="en-GB", id="7"))
    session.orders.put(Text(type="text", text="Hello"))
    await session.settled()
    assert session.told == [
        {"type": "ok", "of": "setLanguage", **NOW, "id": "7"},
        {"type": "ok", "of": "text", **NOW},
    ]
    told = {"of": "setLanguage", "ms": 0, "language": "en-GB", "realtime": "acme/1"}
    assert session.events == [("changed", told)]
    await session.orders.close()


@pytest.mark.parametrize(
    ("fault", "code", "message", "why"),
    [
        (Unable("Not in this mode"), "unable", "Not in this mode.", "unable"),
        (ProviderError("nobody there"), "no_provider", "nobody there.", "nobody there"),
        (KeyError("x"), "server_error", "The server failed; it is in its log.", "server_error"),
    ],
)
async def test_a_change_that_fails_leaves_the_session_up(
    fault: Exception, code: str, message: str, why: str
) -> None:
    session = Session()
    session.go.set()
    session.fault = fault
    session.orders.put(Reset(type="reset"))
    await session.settled()
    assert session.told == [{"type": "error", "code": code, "message": message, "fatal": False}]
    assert session.events == [("not_changed", {"of": "reset", "ms": 0, "why": why})]
    session.fault = None
    session.orders.put(Reset(type="reset"))
    await session.settled()
    assert session.told[-1]["type"] == "ok"
    await session.orders.close()


async def test_more_than_can_wait_is_refused() -> None:
    session = Session()
    session.orders.put(Reset(type="reset"))
    await session.settled()
    for _ in range(MOST_WAITING):
        session.orders.put(Reset(type="reset"))
    assert session.told == []
    session.orders.put(Reset(type="reset", id="late"))
    assert (session.told[0]["code"], session.told[0]["id"]) == ("busy", "late")
    await session.orders.close()
    assert session.events == []
