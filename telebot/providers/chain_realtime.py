"""The whole brain of a call as a chain of speech-to-speech sessions, the last link being the usual
recogniser, language model and voice.

It stands twice in the pipeline: as its `ears` before the gate of turns, and itself behind it, where
a language model and a voice would be. Turns are taken as in every call: the session's words go to
the turn logic, and it is asked to answer when that says so. A session that cannot be opened, dies
or falls silent is replaced by the next one, which is told what was said so far; it hears again what
was not understood yet, and goes on behind the last whole word of a reply that broke off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, cast

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection

from telebot.call.errors import ProviderError
from telebot.providers.chain import DOWN, Chain, Inbox, LinkFailed
from telebot.providers.continuation import instruction
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.frames import (
    CutFrame,
    RespondFrame,
    SessionOpenFrame,
    TellFrame,
    UsedFrame,
)
from telebot.providers.link import Link, Port, failure_of
from telebot.providers.listening import Feed
from telebot.providers.realtime import (
    HEARD,
    SAID,
    Memory,
    Played,
    RealtimeListener,
)
from telebot.providers.realtime_caller import Caller
from telebot.providers.realtime_reply import RealtimeReply
from telebot.providers.realtime_usual import Build, Usual
from telebot.providers.word_clock import WordClock

UP = FrameDirection.UPSTREAM


class ChainRealtime(Chain):
    """`context` is the call's, `played` is set before the pipeline starts; `local_words` hears an
    utterance on this machine; `keyed` stands before digits in the context."""

    kind = "realtime"
    played: Played

    def __init__(
        self,
        links: Sequence[Link],
        listener: RealtimeListener,
        clock: Callable[[], float],
        word_clock: WordClock,
        *,
        context: LLMContext,
        usual: Build,
        local_words: Callable[[bytes], Awaitable[str]],
        keyed: str,
    ) -> None:
        super().__init__(links, listener, clock)
        self._teller = listener
        self._word_clock = word_clock
        self._context = context
        self._keyed = keyed
        self._usual = Usual(usual, self._usual_heard, self._usual_said)
        self._caller = Caller(self, self._usual, local_words)
        self.ears = self._caller.ears
        self._active: Port | None = None
        self._failed: set[int] = set()  # ports that failed in this call
        self._opening: asyncio.Task[None] | None = None
        self._memory = Memory()
        self._early: list[Frame] = []  # of a reply that was not asked for yet
        self._turn: asyncio.Task[None] | None = None
        self._reply: RealtimeReply | None = None

    # --- the session ---------------------------------------------------------------------------

    def _news(self) -> list[Any]:
        self._memory.heard, self._caller.understood = self._caller.understood, False
        return self._memory.news(self._context.get_messages(), self._keyed)

    def utterance_begins(self) -> None:
        """The session is about to hear the caller: it must know what was said before."""
        self._early.clear()
        understood = self._caller.understood
        if news := self._news():
            self._caller.give(TellFrame(news))
        self._caller.understood = understood

    async def _warm(self) -> None:
        self._open_next()

    def _open_next(self) -> None:
        self._opening = self.begin(self._to_next())

    async def _to_next(self) -> None:
        for port in self._ports:
            breaker = port.link.breaker
            if id(port) in self._failed or not (breaker.closed() or breaker.may_probe()):
                continue
            try:
                await self._open(port)
                return
            except LinkFailed as failed:
                self._failed.add(id(port))
                await self.give_up(port, failed.failure)
        if self._start_frame is not None:
            await self._usual.start(self.processor_setup, self._start_frame)
            await self._usual.catch_up(list(self._caller.utterance.frames))

    async def _open(self, port: Port) -> None:
        """Raises `LinkFailed`."""
        inbox = self._inboxes[id(port)] = Inbox()
        try:
            hosted = await self._up(port)
            async with asyncio.timeout(port.link.patience.start_s):
                while not isinstance(await inbox.get(port.link.patience.start_s), SessionOpenFrame):
                    pass
        except (ProviderError, OSError, TimeoutError) as error:
            if isinstance(error, LinkFailed):
                raise
            raise LinkFailed(failure_of(error, port.hosted)) from error
        finally:
            self._inboxes.pop(id(port), None)
        self._active = port
        self._memory = Memory()
        self._early.clear()
        service: Any = hosted.service
        feed = Feed(hosted, service)
        self._listener.link_served(self.kind, port.link.name)
        self.begin(self._pump(feed, port))
        self._caller.attach(feed, service, port.link.patience.first_s)

    async def _pump(self, feed: Feed, port: Port) -> None:
        try:
            await feed.run()
        except (ProviderError, OSError, TimeoutError):
            if port is self._active:
                self.lost(Failure(Cause.STALLED))

    def lost(self, failure: Failure) -> None:
        """The session in use is no good any more. A reply under way notices by itself."""
        self.settle()
        port, self._active = self._active, None
        if port is None:
            return
        self._caller.detach()
        self._failed.add(id(port))
        inbox = self._inboxes.pop(id(port), None)
        self.begin(self.give_up(port, failure))
        self._open_next()
        if inbox is not None:
            self.begin(inbox.put(ErrorFrame("lost")))

    def settle(self) -> None:
        port = self._active
        if port is not None and port.hosted is not None:
            unbilled_s = getattr(port.hosted.service, "unbilled_s", None)
            if unbilled_s is not None:
                self._listener.link_used(self.kind, port.link.name, unbilled_s(), "s")

    async def pushed(self, port: Port, frame: Frame) -> None:
        if isinstance(frame, UsedFrame):
            by = frame.provider or port.link.name
            self._listener.link_used(frame.kind, by, frame.quantity, frame.unit)
        elif port is not self._active:
            await super().pushed(port, frame)
        elif isinstance(frame, ErrorFrame):
            self.lost(of_error(frame))
        elif isinstance(frame, HEARD):
            await self._caller.heard(frame)
        elif isinstance(frame, SAID):
            inbox = self._inboxes.get(id(port))
            if inbox is not None:
                await inbox.put(frame)
                return
            if isinstance(frame, LLMFullResponseStartFrame):
                self._early.clear()
            self._early.append(frame)

    # --- the replies ---------------------------------------------------------------------------

    async def work(self, frame: Frame) -> None:
        if isinstance(frame, LLMContextFrame):
            await self._stop_turn()
            self._turn = self.begin(self._answer(frame.context))
        elif isinstance(frame, InterruptionFrame):
            await self._interrupted(frame)
        else:
            await self.push_frame(frame)

    async def _stop_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None and not turn.done():
            turn.cancel()
            await asyncio.gather(turn, return_exceptions=True)

    async def _interrupted(self, frame: InterruptionFrame) -> None:
        await self._stop_turn()
        reply, self._reply = self._reply, None
        if self._active is not None:
            self._inboxes.pop(id(self._active), None)
            self._early.clear()
            if reply is not None:
                self._memory.said(reply.text)
                heard_s = self.played.cut_s - reply.at_s
                self._caller.give(CutFrame(heard_s + reply.lead_s if heard_s > 0 else 0.0))
        if self._usual.up:
            await self._usual.think(frame)  # comes out of the voice again
        else:
            await self.push_frame(frame)

    async def _serving(self) -> Port | None:
        """The session in use, once one is; None: there is none left."""
        while self._active is None and not self._usual.up:
            opening = self._opening
            if opening is None or opening.done():
                break
            await asyncio.wait([opening])
        return self._active

    async def _answer(self, context: LLMContext) -> None:
        self._teller.reply_begins()
        self._reply = reply = RealtimeReply(self.push_frame, self._word_clock, self._clock)
        while (port := await self._serving()) is not None:
            if reply.handed_s == 0:
                await self.push_frame(LLMFullResponseStartFrame())
            try:
                await self._have(port, reply)
            except LinkFailed as failed:
                if port is self._active:
                    self.lost(failed.failure)
                await reply.broken_off()
                continue
            self._memory.said(reply.text)
            self._teller.reply_said(reply.text, list(reply.called))
            await self.push_frame(LLMFullResponseEndFrame())
            return
        if self._usual.up:
            said = " ".join(reply.said)
            messages = [*context.get_messages(), *([instruction(said)] if said else [])]
            onwards = LLMContext(cast("Any", messages), tools=context.tools)
            await self._usual.think(LLMContextFrame(onwards), reply.handed_s)
        else:
            self._listener.chain_exhausted(self.kind)
            await self.push_frame(LLMFullResponseEndFrame())

    async def _have(self, port: Port, reply: RealtimeReply) -> None:
        """Have a session answer, or go on with a reply. Raises `LinkFailed`."""
        inbox = self._inboxes[id(port)] = Inbox()
        early, self._early = self._early, []
        for frame in early:
            await inbox.put(frame)
        said = " ".join(reply.said)
        self._caller.give(RespondFrame([*self._news(), *([instruction(said)] if said else [])]))
        try:
            first_s = await reply.begins(inbox, port.link.patience)
            if port is self._active:  # it may have failed behind what it said
                port.link.breaker.succeeded(first_s)
                self._listener.link_served(self.kind, port.link.name)
            await reply.goes_on(inbox, port.link.patience)
        finally:
            if self._inboxes.get(id(port)) is inbox:
                self._inboxes.pop(id(port))

    # --- the usual chain, the end --------------------------------------------------------------

    async def _usual_heard(self, frame: Frame) -> None:
        if isinstance(frame, HEARD):
            self._caller.utterance.answered()
            await self.ears.push_frame(frame)
        elif isinstance(frame, ErrorFrame):
            await self.push_frame(frame, UP)

    async def _usual_said(self, frame: Frame) -> None:
        await self.push_frame(frame, UP if isinstance(frame, ErrorFrame) else DOWN)

    async def _close(self) -> None:
        self._active = None
        self._caller.detach()
        await super()._close()
        await self._usual.stop()
