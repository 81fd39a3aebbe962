"""A session in mode `direct` behind its media stream: speech to speech by a vendor's session, audio
at the full band (`speech/direct.py`).

Where no vendor's session can be opened, the session goes on as any other (`session.py`).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial

from telebot.call.admission import Admission
from telebot.call.errors import ProviderConfigError
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import Clock, WallClock
from telebot.carriers.realtime_codec import RealtimeCodec
from telebot.providers.direct import Manner
from telebot.speech.agents import Agent
from telebot.speech.audience import OverheardLog
from telebot.speech.direct import Direct
from telebot.speech.direct_record import DirectOutside
from telebot.speech.direct_vendors import DirectLink, NobodyLeft
from telebot.speech.factory import Speech
from telebot.speech.wishes import PROMPT, Market, Wishes, realtime_plans
from telebot.voice.session_orders import Interrupt, Order, Reset, SetLanguage, SetProvider, Text
from telebot.web.realtime.orders import Now, Orders, Unable
from telebot.web.realtime.teller import Tell, Teller, ready, skipped
from telebot.web.realtime.wishing import otherwise


@dataclass(frozen=True, slots=True)
class DirectPlan:
    """What a direct session is planned from."""

    agent: Agent
    market: Market
    wishes: Wishes

    def links(self) -> list[DirectLink]:
        """The vendors in their order. Raises ProviderConfigError."""
        plans = realtime_plans(self.agent, self.wishes, self.market)
        of = self.agent.chains.breakers.of
        return [DirectLink(plan, of(plan.kind, plan.name, plan.account)) for plan in plans]

    def manner(self) -> Manner:
        """How the model is to be."""
        wishes = self.wishes
        prompt = wishes.instructions or self.agent.settings.speech.prompt or PROMPT
        return Manner(prompt, wishes.language, wishes.voice)

    def wishing(self, wishes: Wishes) -> DirectPlan:
        """The same with other wishes."""
        return replace(self, wishes=wishes)


class DirectCalls:
    """Begins direct sessions."""

    def __init__(
        self, speech: Speech, admission: Admission, clock: Clock, wall_clock: WallClock
    ) -> None:
        self._speech = speech
        self._admission = admission
        self._clock = clock
        self._wall_clock = wall_clock

    async def begun(
        self, call: Call, wire: MediaWire, codec: RealtimeCodec, plan: DirectPlan, tell: Tell
    ) -> DirectLive | None:
        """The session, with its `ready` told; None where no vendor's could be opened and others may
        do it. Raises ProviderConfigError where one is named that is not there, and `NobodyLeft`
        where nobody else may."""
        alone = not plan.wishes.of("realtime").allow_fallbacks
        ending = _Ending(call, wire, self._admission)
        try:
            links = plan.links()
        except ProviderConfigError:
            if alone or "realtime" in plan.wishes.named:
                raise
            return None
        rate_hz = codec.request.sample_rate
        outside = self._outside(ending, plan.agent, rate_hz, Teller(tell))
        try:
            direct = await Direct.begun(links, plan.manner(), outside)
        except NobodyLeft:
            if alone:
                raise
            return None
        codec.direct = True
        codec.reason = lambda: ending.reason or None
        live = DirectLive(direct, ending, self._speech, tell, plan)
        tell(ready(call, rate_hz, "direct", {**live.now_is(), **skipped(plan.market)}))
        tell({"type": "state", "state": "listening"})
        return live

    def _outside(
        self, ending: _Ending, agent: Agent, rate_hz: int, audience: Teller
    ) -> DirectOutside:
        call, wire = ending.call, ending.wire
        return DirectOutside(
            call=call,
            log=OverheardLog(self._speech.log, audience),
            audience=audience,
            clock=self._clock,
            now=self._wall_clock,
            rate_hz=rate_hz,
            line=wire.line,
            send=wire.send_audio,
            clear=wire.send_clear,
            end=ending.end,
            start_recording=partial(self._speech.recording, call, agent, wire.line),
            budget=self._speech.budget(call, agent),
        )


class _Ending:
    """The one ending of a direct session's call."""

    def __init__(self, call: Call, wire: MediaWire, admission: Admission) -> None:
        self.call = call
        self.wire = wire
        self._admission = admission
        self._hanging: asyncio.Task[None] | None = None
        self.reason = ""

    def end(self, reason: str) -> None:
        """Hang up; the media stream ends the rest."""
        if not self.reason:
            self.reason = reason
            self._hanging = asyncio.ensure_future(_closed(self.wire))

    def over(self, reason: str) -> None:
        """The call's record is closed."""
        self._admission.end(self.call, self.reason or reason)


async def _closed(wire: MediaWire) -> None:
    await wire.close()


class DirectLive:
    """A direct session that is up (`SessionSink`). `ended` is the last call."""

    def __init__(
        self, direct: Direct, ending: _Ending, speech: Speech, tell: Tell, plan: DirectPlan
    ) -> None:
        self._direct = direct
        self._ending = ending
        self._speech = speech
        self._plan = plan
        outside = direct.outside
        self._orders = Orders(self._do, tell, direct.note_event, outside.clock, outside.call.id)
        longest_s = plan.agent.settings.call.max_duration_s
        later = asyncio.get_running_loop().call_later
        self._longest = later(longest_s, ending.end, "max_duration")
        speech.beside.add(self)

    def now_is(self) -> Now:
        """Language and provider."""
        usual = self._plan.agent.settings.agent.language
        return {
            "language": self._plan.wishes.language or usual,
            "providers": {"realtime": self._direct.provider},
        }

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        """Never: this session's codec hands everything on as it is."""

    async def wideband(self, pcm16: bytes) -> None:
        """The client's audio."""
        await self._direct.hear(pcm16)

    async def digit(self, digit: str) -> None:
        """There are no keys."""

    async def played(self, mark: str) -> None:
        """There are no marks."""

    async def ended(self, reason: str) -> None:
        """Nothing of it is left, its call is over."""
        self._speech.beside.discard(self)
        self._longest.cancel()
        await self._orders.close()
        await self._direct.close()
        self._ending.over(reason)

    def goodbye(self, reason: str) -> None:
        """The server stops; the vendor's voice is not ours to say so."""
        self._ending.end(reason)

    def asked(self, order: object) -> None:
        """One of the orders of `voice/session_orders.py`."""
        if isinstance(order, Order):
            self._orders.put(order)

    async def _do(self, order: Order) -> Now:
        """Raises `Unable`, ProviderConfigError, ProviderError."""
        match order:
            case Text():
                await self._direct.say(order.text.strip())
            case Interrupt():
                await self._direct.hush()
            case Reset():
                await self._direct.reset()
            case SetLanguage():
                plan = self._plan.wishing(replace(self._plan.wishes, language=order.language))
                await self._direct.change(plan.manner())
                self._plan = plan
            case SetProvider():
                await self._move(order)
        return self.now_is()

    async def _move(self, order: SetProvider) -> None:
        if set(order.provider.named) - {"realtime"}:
            raise Unable("A direct session has one provider: realtime")
        plan = self._plan.wishing(otherwise(self._plan.wishes, order.provider))
        await self._direct.move(plan.links())
        self._plan = plan
