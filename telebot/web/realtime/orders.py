"""What a session's client asks for while it lasts: done one after another by a task of its own, so
that audio never waits for it, answered, and written into the record.

A session of either mode has one (`session.py`, `direct.py`) and gives the doing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.ports import Clock
from telebot.voice.session_orders import Order, Reset, SetLanguage, SetProvider
from telebot.web.realtime.teller import Tell
from telebot.web.realtime.wishing import flat

MOST_WAITING = 8  # that are not done yet
CHANGES = (Reset, SetLanguage, SetProvider)

Now = Mapping[str, Any]  # what a session is: `language`, `providers`
Do = Callable[[Order], Awaitable[Now]]

log = structlog.get_logger(__name__)


class Unable(Exception):
    """Something that sessions of this mode cannot do."""


class Orders:
    """One session's. `do` raises `Unable`, ProviderConfigError or ProviderError, and nothing has
    changed then; `note` writes an event. `close` is the last call."""

    def __init__(
        self, do: Do, tell: Tell, note: Callable[..., None], clock: Clock, call_id: str
    ) -> None:
        self._do = do
        self._tell = tell
        self._note = note
        self._clock = clock
        self._call_id = call_id
        self._waiting: asyncio.Queue[Order] = asyncio.Queue(MOST_WAITING)
        self._task = asyncio.create_task(self._obey(), name="session orders")

    def put(self, order: Order) -> None:
        """It will be done, or is refused."""
        try:
            self._waiting.put_nowait(order)
        except asyncio.QueueFull:
            self.refuse(order, "busy", "Earlier orders are not done yet.")

    def done(self, order: Order, now: Now | None = None) -> None:
        """Tell the client that it is."""
        self._answer(order, {"type": "ok", "of": getattr(order, "type", ""), **(now or {})})

    def refuse(self, order: Order, code: str, message: str) -> None:
        """Tell the client why it is not done; the session goes on."""
        told = {"type": "error", "code": code, "message": message, "fatal": False}
        self._answer(order, told)

    async def close(self) -> None:
        """What was not done will not be."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _answer(self, order: Order, told: Mapping[str, Any]) -> None:
        self._tell(told if order.id is None else {**told, "id": order.id})

    async def _obey(self) -> None:
        while True:
            order = await self._waiting.get()
            began = self._clock()
            name, told = await self._outcome(order)
            if isinstance(order, CHANGES):
                took_ms = round((self._clock() - began) * 1000)
                self._note(name, of=order.type, ms=took_ms, **told)

    async def _outcome(self, order: Order) -> tuple[str, Mapping[str, Any]]:
        """The event that tells of it. The boundary for the faults of one order."""
        try:
            now = await self._do(order)
        except Unable as fault:
            self.refuse(order, "unable", f"{fault}.")
            return "not_changed", {"why": "unable"}
        except (ProviderConfigError, ProviderError) as fault:
            self.refuse(order, "no_provider", f"{fault}.")
            return "not_changed", {"why": f"{fault}"}
        except Exception:
            log.exception("session_change_failed", call_id=self._call_id)
            self.refuse(order, "server_error", "The server failed; it is in its log.")
            return "not_changed", {"why": "server_error"}
        self.done(order, now)
        return "changed", flat(now)
