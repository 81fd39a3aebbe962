"""A session of speech to speech by proxy: the vendor hears, takes the turns and speaks; this passes
audio and words between it and the client, and keeps the record of a call.

None of the telephone's parts takes part (`docs/decisions/0021-…`). A vendor that fails is replaced
by the next one, which is told what was said; where nobody is left the session ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from telebot.audio.fullband import Rate
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.call.model import State
from telebot.providers import registry
from telebot.providers.breaker import Breaker
from telebot.providers.direct import (
    CallerStarts,
    CallerStops,
    CallerText,
    DirectEvent,
    DirectSession,
    Manner,
    ReplyAudio,
    ReplyEnds,
    ReplyStarts,
    ReplyText,
    Used,
    failure_of,
)
from telebot.speech.chains import Plan
from telebot.speech.direct_record import DirectOutside, DirectRecord
from telebot.speech.direct_reply import DirectReply, DirectVoice

TEXT_WAIT_S = 2.0  # words of the client's may come after the answer to them

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DirectLink:
    """A vendor that may be asked."""

    plan: Plan
    breaker: Breaker

    def build(self) -> DirectSession:
        """Raises ProviderConfigError."""
        assert self.plan.resources is not None
        return registry.build_direct(self.plan.spec, self.plan.resources)


class NobodyLeft(ProviderError):
    """No vendor's session could be opened."""


@dataclass(slots=True)
class Direct:
    """One direct session. `begin` it, then it is fed; `close` is the last call."""

    links: Sequence[DirectLink]
    manner: Manner
    outside: DirectOutside
    record: DirectRecord = field(init=False)
    link: DirectLink | None = None
    history: list[dict[str, Any]] = field(default_factory=list)
    over: bool = False
    _session: DirectSession | None = None
    _voice: DirectVoice | None = None
    _to: Rate | None = None
    _from: Rate | None = None
    _reply: DirectReply | None = None
    _index: int = 0
    _caller: str | None = None
    _stopped_at: float | None = None
    _heard: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _answered: bool = False  # the session in use has
    _beside: set[asyncio.Task[None]] = field(default_factory=set)
    _failed: set[int] = field(default_factory=set)
    _changing: asyncio.Lock = field(default_factory=asyncio.Lock)

    def __post_init__(self) -> None:
        self.record = DirectRecord(self.outside)

    # --- its life ------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Open the first session that can be. Raises `NobodyLeft`; nothing was said then."""
        await self._open_next()
        outside = self.outside
        self.record.begin()
        self._voice = DirectVoice(
            outside.send,
            outside.rate_hz * 2,
            outside.clock,
            first=self._first_audio,
            played=self._played,
            record=self.record.bot,
        )
        self._tasks = [
            asyncio.create_task(self._voice.run(), name="direct voice"),
            asyncio.create_task(self._listen(), name="direct session"),
        ]
        if outside.budget is not None:
            outside.budget.begin(self)
        self.record.state(State.LISTENING)

    async def close(self) -> None:
        """Nothing of it is left; what was being said is in the record."""
        if self.over:
            return
        self.over = True
        self._interrupt()
        tasks = [*self._tasks, *self._beside]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self.outside.budget is not None:
            self.outside.budget.close()
        self.record.close()
        if self._session is not None:
            await self._session.close()

    # --- what the client does ------------------------------------------------------------------

    async def hear(self, pcm16: bytes) -> None:
        """Its audio, at the session's rate."""
        self.record.caller(pcm16)
        session, rate = self._session, self._to
        if session is None or rate is None:
            return
        audio = rate.feed(pcm16)
        if audio:
            await self._told(session.hear(audio))

    async def say(self, text: str) -> None:
        """A typed turn."""
        async with self._changing:  # a session that is just being replaced would lose it
            await self.hush()
            self._caller, self._stopped_at = text, self.outside.clock()
            self.outside.audience.transcript(self._index, text)
            await self._ask(text)

    async def _ask(self, text: str) -> None:
        """Have a text answered."""
        self._caller = text
        self._heard.set()
        self.record.state(State.THINKING)
        if self._session is not None:
            await self._told(self._session.say(text))

    async def hush(self) -> None:
        """Say no more."""
        heard_s = self._interrupt()
        if heard_s is not None and self._session is not None:
            await self._told(self._session.cut(heard_s))
        self.record.state(State.LISTENING)

    async def change(self, manner: Manner) -> None:
        """Be otherwise from the next answer on. Raises ProviderError."""
        async with self._changing:
            if self._session is not None:
                await self._session.change(manner)
            self.manner = manner

    async def move(self, links: Sequence[DirectLink], *, forget: bool = False) -> None:
        """Go on with the first of these, which is told what was said unless that is forgotten.
        Raises `NobodyLeft`: the old one goes on then."""
        async with self._changing:
            await self.hush()
            history = [] if forget else self.history
            link, session = await self._opened(links, history)
            old, self.links, self.history = self._session, links, list(history)
            self._failed.clear()
            self._use(link, session)
            if forget:
                self._caller = None
            if old is not None:
                await old.close()  # its listening ends; `_listen` goes on with the new one

    # --- sessions ------------------------------------------------------------------------------

    async def _open_next(self) -> None:
        left = [link for link in self.links if id(link) not in self._failed]
        link, session = await self._opened(left, self.history)
        self._use(link, session)

    async def _opened(
        self, links: Sequence[DirectLink], history: Sequence[dict[str, Any]]
    ) -> tuple[DirectLink, DirectSession]:
        well = [each for each in links if each.breaker.closed() or each.breaker.may_probe()]
        for link in well or links:  # silence is worse than asking one that was ill
            began = self.outside.clock()
            try:
                session = link.build()
            except ProviderConfigError as error:
                log.info("no direct session", provider=link.plan.name, why=str(error))
                continue
            try:
                async with asyncio.timeout(link.plan.patience.start_s):
                    await session.open(self.manner, history)
            except (ProviderError, TimeoutError) as error:
                await session.close()
                self._failed.add(id(link))
                self._gave_up(link, error)
                continue
            link.breaker.succeeded(self.outside.clock() - began)
            return link, session
        raise NobodyLeft("no realtime provider could be reached")

    def _use(self, link: DirectLink, session: DirectSession) -> None:
        self.link, self._session = link, session
        self._answered = False
        self._to = Rate(self.outside.rate_hz, session.rate_hz)
        self._from = Rate(session.rate_hz, self.outside.rate_hz)

    def _gave_up(self, link: DirectLink, error: BaseException) -> None:
        failure = failure_of(error)
        link.breaker.failed(failure)
        cause = failure.cause.value
        log.warning("failover", call_id=self.outside.call.id, provider=link.plan.name, cause=cause)
        self.note_event("failover", kind="realtime", provider=link.plan.name, cause=cause)

    async def _listen(self) -> None:
        """The session's own task: what the vendor says, from whichever vendor it is."""
        while True:
            session, link = self._session, self.link
            try:
                if session is not None:
                    async for event in session.events():
                        if session is self._session:
                            await self._take(event)
            except ProviderError as error:
                if session is not self._session or link is None:
                    continue  # another one has its place
                await self._replace(link, error)
            except Exception:
                log.exception("direct session failed", call_id=self.outside.call.id)
                self.outside.end("server_error")
                return

    async def _replace(self, link: DirectLink, error: BaseException) -> None:
        """One that has answered may be opened again; one that never did may not."""
        async with self._changing:
            self._gave_up(link, error)
            if not self._answered:
                self._failed.add(id(link))
            unanswered = self._caller if self._reply is None else self._reply.unheard
            self._interrupt()
            if self._session is not None:
                await self._session.close()
            try:
                await self._open_next()
                self.record.state(State.LISTENING)
                if unanswered:
                    await self._ask(unanswered)
            except NobodyLeft:
                self._session = None
                self.note_event("no_provider", kind="realtime")
                self.outside.end("server_error")
                await asyncio.Event().wait()  # until it is closed

    async def _told(self, sending: Awaitable[None]) -> None:
        """What the vendor is told; where it is gone, its events say so."""
        try:
            await sending
        except ProviderError as error:
            log.info("direct session lost", call_id=self.outside.call.id, error=str(error))

    # --- what the vendor says ------------------------------------------------------------------

    async def _take(self, event: DirectEvent) -> None:
        match event:
            case CallerStarts():
                self._speech_started()
            case CallerStops(silence_s):
                self._stopped_at = self.outside.clock() - silence_s
                self.record.state(State.THINKING)
            case CallerText(text, final):
                self._text(text, final)
            case ReplyStarts():
                self._reply_begins()
            case ReplyAudio(pcm16):
                self._audio(pcm16)
            case ReplyText(text):
                self._says(text)
            case ReplyEnds():
                self._ends()
            case Used():
                self._used(event)

    def _speech_started(self) -> None:
        heard_s = self._interrupt()
        if heard_s is not None and self._session is not None:
            cutting = asyncio.create_task(self._told(self._session.cut(heard_s)))
            self._beside.add(cutting)
            cutting.add_done_callback(self._beside.discard)
        self._caller, self._stopped_at = None, None
        self._heard.clear()
        self.record.state(State.LISTENING)

    def _text(self, text: str, final: bool) -> None:
        if not final:
            self.outside.audience.partial(text)
            return
        self._heard.set()
        if not text:
            return
        self._caller = text
        reply = self._reply
        if reply is not None and reply.caller_text is None:
            reply.caller_text = text
        self.outside.audience.transcript(self._index, text)

    def _reply_begins(self) -> None:
        outside = self.outside
        caller, stopped_at = self._caller, self._stopped_at
        self._interrupt()  # of an answer that is still played
        self._caller, self._stopped_at = caller, stopped_at
        self._reply = DirectReply(self._index, outside.clock(), outside.now(), self._caller)
        self.record.state(State.THINKING)

    def _audio(self, pcm16: bytes) -> None:
        reply, voice, rate = self._reply, self._voice, self._from
        if reply is not None and voice is not None and rate is not None:
            voice.say(reply, rate.feed(pcm16))

    def _says(self, text: str) -> None:
        reply = self._reply
        if reply is not None:
            reply.text += text
            self.outside.audience.reply(reply.index, reply.text.strip())

    def _ends(self) -> None:
        if self._reply is not None and self._voice is not None:
            self._voice.end(self._reply)

    def _used(self, used: Used) -> None:
        if self.link is not None:
            self.record.used(self.link.plan, used)

    # --- turns ---------------------------------------------------------------------------------

    def _first_audio(self, reply: DirectReply) -> None:
        self.record.state(State.SPEAKING)

    async def _played(self, reply: DirectReply) -> None:
        """To its end. The client's words may still be on their way."""
        if reply.caller_text is None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._heard.wait(), TEXT_WAIT_S)
        if reply is self._reply and not reply.interrupted:
            self._finish(reply)
            self.record.state(State.LISTENING)

    def _interrupt(self) -> float | None:
        """End the reply under way; seconds of it that were heard, None where there is none."""
        reply, voice = self._reply, self._voice
        if reply is None or voice is None:
            return None
        heard_s = reply.heard_s(self.outside.clock())
        reply.interrupted = True
        voice.drop()
        if reply.began_at is not None:
            self.outside.clear()
            self.note_event("clear")
        self._finish(reply)
        return heard_s

    def _finish(self, reply: DirectReply) -> None:
        """Its turn is in the record."""
        outside = self.outside
        self._reply = None
        self._answered = True
        heard = reply.heard(outside.clock())
        caller = reply.caller_text or self._caller
        self._caller = None
        for role, text in (("user", caller), ("assistant", heard)):
            if text:
                self.history.append({"role": role, "content": text})
        name = self.link.plan.name if self.link is not None else None
        self.record.turn(reply, caller, heard, name, self._stopped_at or 0.0)
        self._index += 1

    def budget_spent(self) -> None:
        """It may cost no more (`budget.Payer`)."""
        self.outside.end("budget")

    def note_event(self, name: str, **fields: object) -> None:
        """Into the record (`budget.Payer`)."""
        self.record.event(name, **fields)
