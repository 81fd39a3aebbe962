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
from typing import Any, Protocol, cast

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.time import time_now_iso8601

from telebot.call.errors import ProviderError
from telebot.providers.chain import DOWN, Chain, ChainListener, Inbox, LinkFailed
from telebot.providers.continuation import instruction
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.frames import (
    CutFrame,
    EmptyTranscriptFrame,
    RespondFrame,
    SessionOpenFrame,
    TellFrame,
    ToolCalledFrame,
    UsedFrame,
    WordTimesFrame,
)
from telebot.providers.link import Link, Port, failure_of
from telebot.providers.listening import Feed, Utterance
from telebot.providers.realtime import Memory, RealtimeSession
from telebot.providers.realtime_hearing import RealtimeEars, Window
from telebot.providers.realtime_reply import RealtimeReply
from telebot.providers.realtime_usual import Build, Usual
from telebot.providers.word_clock import WordClock

HEARD = (InterimTranscriptionFrame, TranscriptionFrame, EmptyTranscriptFrame)
SAID = (
    LLMFullResponseStartFrame,
    TTSAudioRawFrame,
    LLMTextFrame,
    WordTimesFrame,
    LLMFullResponseEndFrame,
    ToolCalledFrame,
)
OWN_TURNS_S = 2.0  # what a session may take longer that finds the end of a turn by itself
UP = FrameDirection.UPSTREAM


class Played(Protocol):
    """What the chain asks of the call's play-out."""

    @property
    def occupied(self) -> bool:
        """The bot has the floor: something is being thought about, or said."""
        ...

    @property
    def dropped(self) -> int:
        """How many times the bot has lost it."""
        ...

    @property
    def cut_s(self) -> float:
        """Of what was dropped last: seconds of its audio that were heard."""
        ...


class RealtimeListener(ChainListener, Protocol):
    """Whom the chain tells of its replies, beside what every chain tells."""

    def reply_begins(self) -> None: ...

    def reply_said(self, text: str, called: Sequence[str]) -> None:
        """A session has made a reply, and called these functions of the call with it."""
        ...


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
        self.ears = RealtimeEars(self)
        self._teller = listener
        self._word_clock = word_clock
        self._context = context
        self._local_words = local_words
        self._keyed = keyed
        self._usual = Usual(usual, self._usual_heard, self._usual_said)
        self._active: Port | None = None
        self._failed: set[int] = set()  # ports that failed in this call
        self._opening: asyncio.Task[None] | None = None
        self._utterance = Utterance()
        self._window: Window | None = None
        self._feed: Feed | None = None
        self._memory = Memory()
        self._early: list[Frame] = []  # of a reply that was not asked for yet
        self._turn: asyncio.Task[None] | None = None
        self._reply: RealtimeReply | None = None
        self._judged = False  # the words of the last utterance are known already
        self._timer: asyncio.TimerHandle | None = None

    # --- the caller ----------------------------------------------------------------------------

    async def hear(self, frame: InputAudioRawFrame) -> None:
        self._utterance.hear(frame)
        window = self._window
        if window is not None:
            if window.held and not self.played.occupied:
                window.release(None)
            window.hear(frame)
            if not window.fits:
                self._lost(Failure(Cause.STALLED))
        elif self._usual.up:
            await self._usual.hear(frame)

    async def speech_started(self, frame: VADUserStartedSpeakingFrame) -> None:
        self._stop_timer()
        self._utterance.begin(frame)
        if self._window is not None:
            hold = self._session.answers_at_once and self.played.occupied
            if not hold:
                self._judged = False
                self._early.clear()
                self._give(TellFrame(self._news()))
            self._window.begin(frame, hold=hold)
        elif self._usual.up:
            await self._usual.tell(frame)

    async def speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self._utterance.stop(frame)
        window = self._window
        if window is None:
            if self._usual.up:
                await self._usual.tell(frame)
        elif window.held:
            self.begin(self._judge(window, frame))
        else:
            window.stop(frame)
            self._await_text()

    def of_recogniser(self, name: str) -> None:
        if self._usual.up:
            self._usual.of_recogniser(name)

    async def _judge(self, window: Window, end: VADUserStoppedSpeakingFrame) -> None:
        """An utterance over the bot's voice, which the session has not heard: its words by the
        local recogniser say whether it takes the floor."""
        text = await self._local_words(window.held_audio())
        frame: Frame = EmptyTranscriptFrame(self._utterance.audio_s)
        if text:
            frame = TranscriptionFrame(text, "", time_now_iso8601(), finalized=True)
        dropped = self.played.dropped
        await self.ears.push_frame(frame)  # the turn logic has decided when this returns
        if window is not self._window:
            return
        if self.played.occupied and self.played.dropped == dropped:
            window.forget()
            self._utterance.answered()
            return
        self._early.clear()
        self._give(TellFrame(self._news()))
        window.release(end)
        self._judged = self._memory.heard = True

    def _await_text(self) -> None:
        if self._active is not None:
            later_s = OWN_TURNS_S if self._session.always_hears else 0.0
            self._after(self._active.link.patience.first_s + later_s, self._no_text)

    def _no_text(self) -> None:
        if self._utterance.unanswered and self._utterance.stopped:
            self._lost(Failure(Cause.EMPTY))

    async def _heard(self, frame: Frame) -> None:
        """What the session has understood."""
        if isinstance(frame, EmptyTranscriptFrame) and frame.failed:
            self._lost(Failure(Cause.ERROR))
            return
        if isinstance(frame, InterimTranscriptionFrame):
            if self._utterance.stopped:
                self._await_text()
        else:
            self._stop_timer()
            self._utterance.answered()
            self._memory.heard = self._memory.heard or isinstance(frame, TranscriptionFrame)
            if self._judged:
                return  # its words were heard here
        await self.ears.push_frame(frame)

    # --- the session ---------------------------------------------------------------------------

    @property
    def _session(self) -> RealtimeSession:
        hosted = None if self._active is None else self._active.hosted
        if hosted is None:
            raise ProviderError("no session")
        return cast("RealtimeSession", hosted.service)

    def _give(self, frame: Frame) -> None:
        if self._feed is not None and not (isinstance(frame, TellFrame) and _nothing(frame)):
            self._feed.give(frame)

    def _news(self) -> list[Any]:
        return self._memory.news(self._context.get_messages(), self._keyed)

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
            await self._usual.catch_up(list(self._utterance.frames))

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
        self._feed = feed = Feed(hosted, cast("Any", hosted.service))
        self._window = Window(feed, always=self._session.always_hears)
        self._listener.link_served(self.kind, port.link.name)
        self.begin(self._pump(feed, port))
        self._catch_up()

    def _catch_up(self) -> None:
        """Let a new session hear what nobody has understood yet."""
        window, kept = self._window, self._utterance
        if window is None:
            return
        self._give(TellFrame(self._news()))
        for frame in kept.frames:
            if isinstance(frame, InputAudioRawFrame):
                window.hear(frame)
        if kept.unanswered:
            window.begin(VADUserStartedSpeakingFrame(), hold=False)
            if kept.stopped:
                window.stop(VADUserStoppedSpeakingFrame())
                self._await_text()

    async def _pump(self, feed: Feed, port: Port) -> None:
        try:
            await feed.run()
        except (ProviderError, OSError, TimeoutError):
            if port is self._active:
                self._lost(Failure(Cause.STALLED))

    def _lost(self, failure: Failure) -> None:
        """The session in use is no good any more. A reply under way notices by itself."""
        port = self._active
        if port is None:
            return
        self._stop_timer()
        self._active = self._window = None
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()
        self._failed.add(id(port))
        inbox = self._inboxes.pop(id(port), None)
        self.begin(self.give_up(port, failure))
        self._open_next()
        if inbox is not None:
            self.begin(inbox.put(ErrorFrame("lost")))

    async def pushed(self, port: Port, frame: Frame) -> None:
        if isinstance(frame, UsedFrame):
            by = frame.provider or port.link.name
            self._listener.link_used(frame.kind, by, frame.quantity, frame.unit)
        elif port is not self._active:
            await super().pushed(port, frame)
        elif isinstance(frame, ErrorFrame):
            self._lost(of_error(frame))
        elif isinstance(frame, HEARD):
            await self._heard(frame)
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
                self._give(CutFrame(heard_s + reply.lead_s if heard_s > 0 else 0.0))
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
                    self._lost(failed.failure)
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
        self._give(RespondFrame([*self._news(), *([instruction(said)] if said else [])]))
        try:
            first_s = await reply.begins(inbox, port.link.patience)
            port.link.breaker.succeeded(first_s)
            self._listener.link_served(self.kind, port.link.name)
            await reply.goes_on(inbox, port.link.patience)
        finally:
            if self._inboxes.get(id(port)) is inbox:
                self._inboxes.pop(id(port))

    # --- the usual chain, timers, the end ------------------------------------------------------

    async def _usual_heard(self, frame: Frame) -> None:
        if isinstance(frame, HEARD):
            self._utterance.answered()
            await self.ears.push_frame(frame)
        elif isinstance(frame, ErrorFrame):
            await self.push_frame(frame, UP)

    async def _usual_said(self, frame: Frame) -> None:
        await self.push_frame(frame, UP if isinstance(frame, ErrorFrame) else DOWN)

    def _after(self, delay_s: float, do: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, do)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _close(self) -> None:
        self._stop_timer()
        self._active = self._window = None
        if self._feed is not None:
            self._feed.close()
        await super()._close()
        await self._usual.stop()


def _nothing(frame: TellFrame) -> bool:
    return not frame.messages and not isinstance(frame, RespondFrame)
