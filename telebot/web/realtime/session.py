"""One realtime session behind its media stream: the conversation as its client wants it, and what
the client asks of it while it lasts (`docs/realtime.md`).

Changes are made one after another by the session's own task, so that audio never waits for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from orjson import dumps

from telebot.audio.g711 import BYTES_PER_MS, SILENCE
from telebot.call.errors import ApiError, BadWire, ProviderConfigError, ProviderError
from telebot.call.events import MediaSink, MediaWire
from telebot.call.model import Call
from telebot.call.ports import Clock
from telebot.call.session import Move
from telebot.carriers.realtime_codec import BAD_START, RealtimeCodec
from telebot.speech.agents import Agent
from telebot.speech.assembly import Follows
from telebot.speech.changing import Changing
from telebot.speech.conversation import Conversation
from telebot.speech.factory import SaysGoodbye, Speech
from telebot.speech.whom import Prices
from telebot.speech.wishes import KeySource, Market, Wishes, load_files, varied
from telebot.voice.meaning import Meant
from telebot.voice.permits import ANY
from telebot.voice.sessions import (
    Interrupt,
    Order,
    Reset,
    SessionRequest,
    SetProvider,
    Text,
)
from telebot.web.realtime.direct import DirectCalls
from telebot.web.realtime.teller import Tell, Teller
from telebot.web.realtime.wishing import flat, plain, private, wished, wishes_of

MOST_WAITING = 8  # orders that are not done yet
LOOK_S = 0.1
GAP_S = 0.25  # a client that sends nothing for so long has its microphone off

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class House:
    """What every session works with. `keys` gives the ways to build providers of an API key's
    owner, in the order of trying; `meant` a request with what its user prefers and flags try."""

    speech: Speech
    keys: Callable[[str], Awaitable[list[KeySource]]]
    prices: Prices
    clock: Clock
    meant: Callable[[Call, SessionRequest], Awaitable[Meant]]
    direct: DirectCalls


class SessionCalls:
    """The `Conversations` of one session."""

    def __init__(self, house: House, codec: RealtimeCodec, key_id: str) -> None:
        self._house = house
        self._codec = codec
        self._key_id = key_id
        self.call: Call | None = None  # once it has begun
        self._speaks: SaysGoodbye | None = None

    def say_goodbye(self, reason: str) -> bool:
        """Have it end for that. False where there is nobody yet to say so."""
        if self._speaks is not None:
            self._speaks.goodbye(reason)
        return self._speaks is not None

    async def start(self, call: Call, wire: MediaWire) -> MediaSink:
        """The conversation as the session wants it. Raises `BadWire` (4400) where nobody can do
        that."""
        self.call = call
        tell = _telling(wire)
        try:
            market = Market(await self._house.keys(self._key_id), self._house.prices)
            meant = await self._house.meant(call, self._codec.request)
            request, wishes = meant.request, wishes_of(meant)
            base = self._house.speech.agent(call.agent)
            if request.mode == "direct":
                await asyncio.to_thread(load_files, wishes)
                live = await self._house.direct.begun(
                    call,
                    wire,
                    self._codec,
                    agent=base,
                    market=market,
                    wishes=wishes,
                    tell=tell,
                )
                if live is not None:
                    self._speaks = live
                    return live
            agent = await planned(base, wishes, market)
        except (ProviderConfigError, ProviderError, ApiError) as fault:
            code = fault.code if isinstance(fault, ApiError) else "no_provider"
            self._codec.fault = code, f"{fault}."
            raise BadWire(str(fault), BAD_START) from None
        tell(ready(request, call, agent, wishes) | skipped(market))
        follows = Follows(agent, Teller(tell), self._codec.began)
        conversation = await self._house.speech.start(call, wire, follows)
        self._codec.reason = lambda: conversation.closing.reason
        self._speaks = conversation
        private = request.provider.data_collection == "deny"
        plan = Planning(base, market, wishes, agent, private)
        return LiveSession(conversation, plan, tell, self._house.clock)


def ready(request: SessionRequest, call: Call, agent: Agent, wishes: Wishes) -> dict[str, Any]:
    """The first message of a session that is up."""
    return {
        "type": "ready",
        "session": call.offer.carrier_call_id,
        "call": call.id,
        "sample_rate": request.sample_rate,
        "mode": "chain",
        "agent": call.agent,
        **now_is(agent, wishes),
    }


def now_is(agent: Agent, wishes: Wishes) -> dict[str, Any]:
    """Language and providers of a session."""
    realtime = agent.plans["realtime"]
    providers = {"realtime": realtime[0].name} if realtime else agent.usual_providers
    return {
        "language": wishes.language or agent.settings.agent.language,
        "providers": dict(providers),
    }


def skipped(market: Market) -> dict[str, Any]:
    """Who did not come into question, and why."""
    return {"skipped": [one.told() for one in market.passed_over]}


async def planned(base: Agent, wishes: Wishes, market: Market) -> Agent:
    """The agent as it is wished. Raises ProviderConfigError."""
    market.passed_over.clear()
    if plain(wishes) and all(not source.own and source.permit == ANY for source in market.sources):
        return base
    await asyncio.to_thread(load_files, wishes)
    return varied(base, wishes, market)


@dataclass(slots=True)
class Planning:
    """Who speaks in a session now, and how another one is planned. `private`: whatever is asked
    later, nothing leaves this machine."""

    base: Agent
    market: Market
    wishes: Wishes
    agent: Agent
    private: bool = False


class LiveSession:
    """A session that is up (`SessionSink`). `ended` is the last call."""

    def __init__(
        self, conversation: Conversation, planning: Planning, tell: Tell, clock: Clock
    ) -> None:
        self._conversation = conversation
        self._planning = planning
        self._changing = Changing(conversation)
        self._tell = tell
        self._clock = clock
        self._heard_at = clock()
        self._orders: asyncio.Queue[Order] = asyncio.Queue(MOST_WAITING)
        self.digit, self.played = conversation.digit, conversation.played
        self._tasks = [
            asyncio.create_task(self._obey(), name="session orders"),
            asyncio.create_task(self._mind_gaps(), name="session gaps"),
        ]

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        """The client's voice."""
        self._heard_at = self._clock()
        await self._conversation.audio(ulaw, timestamp_ms)

    async def wideband(self, pcm16: bytes) -> None:
        """Never: this session's codec brings everything to the telephone's band."""

    async def ended(self, reason: str) -> None:
        """Nothing more is asked; the conversation ends."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._conversation.ended(reason)

    def asked(self, order: object) -> None:
        """One of the orders of `voice/sessions.py`."""
        match order:
            case _ if self._conversation.closing.ending:
                self._refuse(order, "ending", "The conversation is ending.")
            case Text():
                self._conversation.caller.write(order.text.strip())
                self._done(order)
            case Interrupt():
                if self._conversation.answering.occupied:
                    self._conversation.hush()
                    self._conversation.move(Move.BOT_DONE)
                    self._conversation.listen()
                self._done(order)
            case Order():
                try:
                    self._orders.put_nowait(order)
                except asyncio.QueueFull:
                    self._refuse(order, "busy", "Earlier changes are not done yet.")

    async def _obey(self) -> None:
        """The session's own task: one change after another, and the boundary for its faults."""
        while True:
            order = await self._orders.get()
            began, of = self._clock(), getattr(order, "type", "")
            try:
                await self._change(order)
                told = flat(now_is(self._planning.agent, self._planning.wishes))
                name = "changed"
            except (ProviderConfigError, ProviderError) as fault:
                self._refuse(order, "no_provider", f"{fault}.")
                name, told = "not_changed", {"why": f"{fault}"}
            except Exception:  # the boundary of the session's task
                log.exception("session_change_failed", call_id=self._conversation.parts.call.id)
                self._refuse(order, "server_error", "The server failed; it is in its log.")
                name, told = "not_changed", {"why": "server_error"}
            took_ms = round((self._clock() - began) * 1000)
            self._conversation.note_event(name, of=of, ms=took_ms, **told)

    async def _change(self, order: Order) -> None:
        """Raises ProviderConfigError, ProviderError; nothing has changed then."""
        planning = self._planning
        if isinstance(order, Reset):
            await self._changing.afresh(planning.agent)
        else:
            wishes = wished(order, planning.wishes)
            if planning.private:
                wishes = private(wishes)
            agent = await planned(planning.base, wishes, planning.market)
            await self._changing.to(agent)
            planning.wishes, planning.agent = wishes, agent
        told = skipped(planning.market) if isinstance(order, SetProvider) else {}
        self._done(order, now_is(planning.agent, planning.wishes) | told)

    async def _mind_gaps(self) -> None:
        """A client whose microphone goes off in mid-sentence is silent from then on: the detector
        would wait for the end of that sentence for ever."""
        silence = SILENCE * round(LOOK_S * 1000 * BYTES_PER_MS)
        while True:
            await asyncio.sleep(LOOK_S)
            parts = self._conversation.parts
            if parts.turns.speaking and self._clock() - self._heard_at > GAP_S:
                await self._conversation.audio(silence, round(parts.ear.last_frame_end_ms))

    def _done(self, order: Order, now: Mapping[str, Any] | None = None) -> None:
        told = {"type": "ok", "of": getattr(order, "type", ""), **(now or {})}
        self._tell(told if order.id is None else {**told, "id": order.id})

    def _refuse(self, order: object, code: str, message: str) -> None:
        told: dict[str, Any] = {"type": "error", "code": code, "message": message, "fatal": False}
        name = getattr(order, "id", None)
        self._tell(told if name is None else {**told, "id": name})


def _telling(wire: MediaWire) -> Tell:
    """Messages to the client of a session."""
    telling: Any = wire  # a session's is a socket's

    def tell(message: Mapping[str, Any]) -> None:
        with suppress(ConnectionError):
            telling.send([dumps(message)])

    return tell
