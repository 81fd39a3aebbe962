"""One realtime session behind its media stream: the conversation as its client wants it, and what
the client asks of it while it lasts (`docs/realtime.md`).

Next: `speech/conversation.py`; changes are made by `speech/changing.py`, in the order of
`orders.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import structlog
from orjson import dumps

from telebot.audio.line import TICKS_PER_MS
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
from telebot.voice.session_orders import Interrupt, Order, Reset, SetProvider, Text
from telebot.voice.sessions import SessionRequest
from telebot.web.realtime.direct import DirectCalls, DirectPlan
from telebot.web.realtime.orders import Now, Orders
from telebot.web.realtime.teller import Tell, Teller, ready, skipped
from telebot.web.realtime.wishing import plain, private, wished, wishes_of

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
                plan = DirectPlan(base, market, wishes)
                live = await self._house.direct.begun(call, wire, self._codec, plan, tell)
                if live is not None:
                    self._speaks = live
                    return live
            agent = await planned(base, wishes, market)
        except (ProviderConfigError, ProviderError, ApiError) as fault:
            code = fault.code if isinstance(fault, ApiError) else "no_provider"
            self._codec.fault = code, f"{fault}."
            raise BadWire(str(fault), BAD_START) from None
        now = {**now_is(agent, wishes), **skipped(market)}
        tell(ready(call, request.sample_rate, "chain", now))
        follows = Follows(agent, Teller(tell), self._codec.began)
        conversation = await self._house.speech.start(call, wire, follows)
        self._codec.reason = lambda: conversation.closing.reason
        self._speaks = conversation
        deny = request.provider.data_collection == "deny"
        planning = Planning(base, market, wishes, agent, deny)
        return LiveSession(conversation, planning, tell, self._house.clock)


def now_is(agent: Agent, wishes: Wishes) -> Now:
    """Language and providers of a session."""
    realtime = agent.plans["realtime"]
    providers = {"realtime": realtime[0].name} if realtime else agent.usual_providers
    return {
        "language": wishes.language or agent.settings.agent.language,
        "providers": dict(providers),
    }


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
        self._clock = clock
        self._heard_at = clock()
        self.digit, self.played = conversation.digit, conversation.played
        call_id = conversation.parts.call.id
        self._orders = Orders(self._change, tell, conversation.note_event, clock, call_id)
        self._minding = asyncio.create_task(self._mind_gaps(), name="session gaps")

    async def audio(self, audio: bytes, timestamp_ms: int) -> None:
        """The client's voice."""
        self._heard_at = self._clock()
        await self._conversation.audio(audio, timestamp_ms)

    async def wideband(self, pcm16: bytes) -> None:
        """Never: this session's codec brings everything to the line."""

    async def ended(self, reason: str) -> None:
        """Nothing more is asked; the conversation ends."""
        self._minding.cancel()
        await asyncio.gather(self._minding, self._orders.close(), return_exceptions=True)
        await self._conversation.ended(reason)

    def asked(self, order: object) -> None:
        """One of the orders of `voice/session_orders.py`."""
        if not isinstance(order, Order):
            return
        if self._conversation.closing.ending:
            self._orders.refuse(order, "ending", "The conversation is ending.")
            return
        match order:
            case Text():
                self._conversation.caller.write(order.text.strip())
                self._orders.done(order)
            case Interrupt():
                if self._conversation.answering.occupied:
                    self._conversation.hush()
                    self._conversation.move(Move.BOT_DONE)
                    self._conversation.listen()
                self._orders.done(order)
            case _:
                self._orders.put(order)

    async def _change(self, order: Order) -> Now:
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
        return {**now_is(planning.agent, planning.wishes), **told}

    async def _mind_gaps(self) -> None:
        """A client whose microphone goes off in mid-sentence is silent from then on: the detector
        would wait for the end of that sentence for ever."""
        parts = self._conversation.parts
        silence = parts.ear.form.silence(round(LOOK_S * 1000 * TICKS_PER_MS))
        while True:
            await asyncio.sleep(LOOK_S)
            if parts.turns.speaking and self._clock() - self._heard_at > GAP_S:
                await self._conversation.audio(silence, round(parts.ear.last_frame_end_ms))


def _telling(wire: MediaWire) -> Tell:
    """Messages to the client of a session."""
    telling: Any = wire  # a session's is a socket's

    def tell(message: Mapping[str, Any]) -> None:
        with suppress(ConnectionError):
            telling.send([dumps(message)])

    return tell
