"""What a direct session finds in the house, kept in lists; and vendors that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.model import Call, CallOffer, Turn, WireEvent
from telebot.providers.breaker import Breaker
from telebot.providers.direct import DirectEvent, DirectSession, Manner
from telebot.providers.link import Patience
from telebot.speech.chains import Plan
from telebot.speech.direct_record import DirectOutside
from telebot.speech.direct_vendors import DirectLink

RATE_HZ = 24_000
SECOND = bytes(RATE_HZ * 2)


class Log:
    """A `CallLog`, as far as a direct session writes one."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self.turns: list[Turn] = []
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.uses: list[Any] = []

    def state(self, call: Call) -> None:
        self.states.append(call.state.value)

    def turn(self, call: Call, turn: Turn) -> None:
        self.turns.append(turn)

    def event(self, call: Call, event: WireEvent) -> None:
        self.events.append((event.name, dict(event.fields)))

    def used(self, call: Call, usage: Any) -> None:
        self.uses.append(usage)


class Audience:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    def partial(self, text: str) -> None:
        self.told.append(("partial", text))

    def transcript(self, turn: int, text: str) -> None:
        self.told.append(("transcript", turn, text))

    def reply(self, turn: int, text: str) -> None:
        self.told.append(("reply", turn, text))


class House:
    """An `outside` on the loop's clock."""

    def __init__(self) -> None:
        self.log, self.audience = Log(), Audience()
        self.sent: list[bytes] = []
        self.cleared = 0
        self.ended: list[str] = []
        now = datetime(2026, 11, 26, tzinfo=UTC)
        log: Any = self.log
        audience: Any = self.audience
        self.outside = DirectOutside(
            call=Call("id1", CallOffer("realtime", "s1", "", "", key_id="k"), "desk", now),
            log=log,
            audience=audience,
            clock=asyncio.get_running_loop().time,
            now=lambda: now,
            rate_hz=RATE_HZ,
            send=self.sent.append,
            clear=self._clear,
            end=self.ended.append,
        )

    def _clear(self) -> None:
        self.cleared += 1


@dataclass
class Vendor:
    """A `DirectSession`: what it says is put into `says`, an exception ends it."""

    refuses: Exception | None = None
    rate_hz: int = RATE_HZ
    told: list[tuple[str, Any]] = field(default_factory=list)
    says: asyncio.Queue[DirectEvent | Exception] = field(default_factory=asyncio.Queue)
    open_now: bool = False

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.open_now = True
        self.told.append(("open", list(history)))

    async def hear(self, pcm16: bytes) -> None:
        self.told.append(("hear", len(pcm16)))

    async def say(self, text: str) -> None:
        self.told.append(("say", text))

    def cut(self, heard_s: float) -> None:
        self.told.append(("cut", round(heard_s, 2)))

    async def tell_cut(self) -> None:
        self.told.append(("tell cut", None))

    async def change(self, manner: Manner) -> None:
        if self.refuses is not None:
            raise self.refuses
        self.told.append(("change", manner.language))

    async def events(self) -> AsyncIterator[DirectEvent]:
        while True:
            said = await self.says.get()
            if isinstance(said, Exception):
                raise said
            yield said

    async def close(self) -> None:
        if self.open_now:
            self.open_now = False
            self.says.put_nowait(ProviderError("closed"))


@dataclass(frozen=True, slots=True)
class Link(DirectLink):
    """Its sessions are these, one after another; without one it cannot be built."""

    sessions: list[Vendor] = field(default_factory=list)

    def build(self) -> DirectSession:
        if not self.sessions:
            raise ProviderConfigError("no key")
        return self.sessions.pop(0)


def link(name: str, *sessions: Vendor) -> Link:
    """A vendor whose sessions are these."""
    plan = Plan("realtime", name, name, Patience(5.0, 5.0, 5.0), "")
    breaker = Breaker("realtime", name, asyncio.get_running_loop().time)
    return Link(plan, breaker, list(sessions))
