"""A session in mode `direct` behind its media stream: speech to speech by a vendor's session, audio
at the full band (`speech/direct.py`).

Where no vendor's session can be opened, the session goes on as any other (`session.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog

from telebot.call.admission import Admission
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.events import MediaWire
from telebot.call.model import Call
from telebot.call.ports import Clock, WallClock
from telebot.carriers.realtime_codec import RealtimeCodec
from telebot.providers.direct import Manner
from telebot.speech.agents import Agent
from telebot.speech.audience import OverheardLog
from telebot.speech.chains import Plan
from telebot.speech.direct import Direct, DirectLink, NobodyLeft
from telebot.speech.direct_record import DirectOutside
from telebot.speech.factory import Speech
from telebot.speech.wishes import PROMPT, Market, Wishes, realtime_plans
from telebot.voice.sessions import (
    Interrupt,
    Order,
    Reset,
    SetLanguage,
    SetProvider,
    Text,
)
from telebot.web.realtime.teller import Tell, Teller
from telebot.web.realtime.wishing import flat, otherwise

MOST_WAITING = 8
log = structlog.get_logger(__name__)


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
        self,
        call: Call,
        wire: MediaWire,
        codec: RealtimeCodec,
        *,
        agent: Agent,
        market: Market,
        wishes: Wishes,
        tell: Tell,
    ) -> DirectLive | None:
        """The session, with its `ready` told; None where no vendor's could be opened and others may
        do it. Raises ProviderConfigError where one is named that is not there, and `NobodyLeft`
        where nobody else may."""
        try:
            links = direct_links(agent, realtime_plans(agent, wishes, market))
        except ProviderConfigError:
            if "realtime" in wishes.named or not wishes.of("realtime").allow_fallbacks:
                raise
            return None
        audience = Teller(tell)
        ending = _Ending(call, wire, self._admission)
        outside = DirectOutside(
            call=call,
            log=OverheardLog(self._speech.log, audience),
            audience=audience,
            clock=self._clock,
            now=self._wall_clock,
            rate_hz=codec.request.sample_rate,
            send=wire.send_audio,
            clear=wire.send_clear,
            end=ending.end,
            start_recording=partial(self._speech.recording, call, agent),
            budget=self._speech.budget(call, agent),
        )
        direct = Direct(links, manner_of(agent, wishes), outside)
        try:
            await direct.begin()
        except NobodyLeft:
            if not wishes.of("realtime").allow_fallbacks:
                raise
            return None
        codec.wide = True
        codec.reason = lambda: ending.reason or None
        live = DirectLive(direct, ending, self._speech, tell, Planned(agent, market, wishes))
        tell(
            {
                "type": "ready",
                "session": call.offer.carrier_call_id,
                "call": call.id,
                "sample_rate": codec.request.sample_rate,
                "mode": "direct",
                "agent": call.agent,
                **live.now_is(),
                "skipped": [one.told() for one in market.passed_over],
            }
        )
        tell({"type": "state", "state": "listening"})
        return live


def direct_links(agent: Agent, plans: Sequence[Plan]) -> list[DirectLink]:
    """The vendors in their order."""
    breakers = agent.chains.breakers
    return [DirectLink(plan, breakers.of(plan.kind, plan.name, plan.account)) for plan in plans]


def manner_of(agent: Agent, wishes: Wishes) -> Manner:
    """How the model is to be."""
    prompt = wishes.instructions or agent.settings.speech.prompt or PROMPT
    return Manner(prompt, wishes.language, wishes.voice)


class _Ending:
    """The one ending of a direct session's call."""

    def __init__(self, call: Call, wire: MediaWire, admission: Admission) -> None:
        self._call = call
        self._wire = wire
        self._admission = admission
        self._hanging: asyncio.Task[None] | None = None
        self.reason = ""

    def end(self, reason: str) -> None:
        """Hang up; the media stream ends the rest."""
        if not self.reason:
            self.reason = reason
            self._hanging = asyncio.ensure_future(_closed(self._wire))

    def over(self, reason: str) -> None:
        """The call's record is closed."""
        self._admission.end(self._call, self.reason or reason)


async def _closed(wire: MediaWire) -> None:
    await wire.close()


class Planned:
    """What a direct session was planned from."""

    def __init__(self, agent: Agent, market: Market, wishes: Wishes) -> None:
        self.agent = agent
        self.market = market
        self.wishes = wishes


class DirectLive:
    """A direct session that is up (`SessionSink`). `ended` is the last call."""

    def __init__(
        self, direct: Direct, ending: _Ending, speech: Speech, tell: Tell, planned: Planned
    ) -> None:
        self._direct = direct
        self._ending = ending
        self._speech = speech
        self._tell = tell
        self._planned = planned
        self._asked_at = 0.0
        self._orders: asyncio.Queue[Order] = asyncio.Queue(MOST_WAITING)
        longest_s = planned.agent.settings.call.max_duration_s
        later = asyncio.get_running_loop().call_later
        self._longest = later(longest_s, ending.end, "max_duration")
        self._task = asyncio.create_task(self._obey(), name="session orders")
        speech.beside.add(self)

    def now_is(self) -> dict[str, Any]:
        """Language and provider."""
        link = self._direct.link
        wishes = self._planned.wishes
        return {
            "language": wishes.language or self._planned.agent.settings.agent.language,
            "providers": {"realtime": None if link is None else link.plan.name},
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
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._direct.close()
        self._ending.over(reason)

    def goodbye(self, reason: str) -> None:
        """The server stops; the vendor's voice is not ours to say so."""
        self._ending.end(reason)

    def asked(self, order: object) -> None:
        """One of the orders of `voice/sessions.py`."""
        if not isinstance(order, Order):
            return
        try:
            self._orders.put_nowait(order)
        except asyncio.QueueFull:
            self._refuse(order, "busy", "Earlier orders are not done yet.")

    async def _obey(self) -> None:
        """The session's own task, and the boundary for its faults."""
        while True:
            order = await self._orders.get()
            self._asked_at = self._direct.outside.clock()
            try:
                await self._do(order)
            except (ProviderConfigError, ProviderError) as fault:
                self._refuse(order, "no_provider", f"{fault}.")
                self._note(order, "not_changed", why=f"{fault}")
            except Exception:
                log.exception("session_change_failed", call_id=self._direct.outside.call.id)
                self._refuse(order, "server_error", "The server failed; it is in its log.")
                self._note(order, "not_changed", why="server_error")

    async def _do(self, order: Order) -> None:
        """Raises ProviderConfigError, ProviderError."""
        direct, planned = self._direct, self._planned
        match order:
            case Text():
                await direct.say(order.text.strip())
            case Interrupt():
                await direct.hush()
            case Reset():
                await direct.move(direct.links, forget=True)
            case SetLanguage():
                wishes = replace(planned.wishes, language=order.language)
                await direct.change(manner_of(planned.agent, wishes))
                planned.wishes = wishes
            case SetProvider() if set(order.provider.named) - {"realtime"}:
                self._refuse(order, "unable", "A direct session has one provider: realtime.")
                self._note(order, "not_changed", why="unable")
                return
            case SetProvider():
                wishes = otherwise(planned.wishes, order.provider)
                plans = realtime_plans(planned.agent, wishes, planned.market)
                await direct.move(direct_links(planned.agent, plans))
                planned.wishes = wishes
        now = self.now_is()
        self._note(order, "changed", **flat(now))
        told = {"type": "ok", "of": getattr(order, "type", ""), **now}
        self._tell(told if order.id is None else {**told, "id": order.id})

    def _note(self, order: Order, name: str, **fields: Any) -> None:
        """What was changed, or could not be, and how long that took."""
        if isinstance(order, Reset | SetLanguage | SetProvider):
            took_ms = round((self._direct.outside.clock() - self._asked_at) * 1000)
            self._direct.note_event(name, of=order.type, ms=took_ms, **fields)

    def _refuse(self, order: Order, code: str, message: str) -> None:
        told: dict[str, Any] = {"type": "error", "code": code, "message": message, "fatal": False}
        self._tell(told if order.id is None else {**told, "id": order.id})
