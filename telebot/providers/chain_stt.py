"""The recogniser of a call, as a chain: caller audio in, one text for each utterance out.

The audio of an utterance is kept until its text is there; a recogniser that fails, or says nothing
about clear speech, is replaced and the next one hears the utterance from its beginning. Texts leave
whole, once the caller has stopped, so that none is said twice. Interim texts pass as they come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import STTService
from pipecat.utils.time import time_now_iso8601

from telebot.call.errors import ProviderError
from telebot.providers.chain import Chain, ChainListener, LinkFailed
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.link import Link, Port
from telebot.providers.listening import Feed, Utterance
from telebot.providers.pacing import Priority, Slot

SETTLE_S = 0.3  # after a text without a word that it is the last, another may follow


class ChainSTT(Chain):
    """Stands for an STT service: `process_audio_frame`, and the VAD's frames down the pipeline."""

    kind = "stt"

    def __init__(
        self, links: Sequence[Link], listener: ChainListener, clock: Callable[[], float]
    ) -> None:
        super().__init__(links, listener, clock)
        self._utterance = Utterance()
        self._last: deque[Frame] = deque()  # the last utterance that was understood, for probes
        self._feed: Feed | None = None
        self._active: Port | None = None
        self._slot: Slot | None = None  # of its stream, where its vendor limits them
        self._tried: set[str] = set()
        self._suspect: tuple[Port, Failure] | None = None  # said nothing; was there anything?
        self._nothing_heard: EmptyTranscriptFrame | None = None  # what it did say
        self._switching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio; returns at once, however slowly a vendor reads."""
        self._utterance.hear(frame)
        self._give(frame)

    def pause(self) -> None:
        """The caller is silent for a moment (`local_stt.py`)."""
        self._of_service("pause")

    def resume(self) -> None:
        self._of_service("resume")

    def settle(self) -> None:
        self._report_use()

    async def work(self, frame: Frame) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._started(frame)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._stopped(frame)
        await self.push_frame(frame)

    # the utterance

    def _started(self, frame: Frame) -> None:
        self._stop_timer()
        if not self._utterance.unanswered:
            self._tried.clear()
            self._suspect = None
        self._utterance.begin(frame)
        self._give(frame)
        if self._active is None:
            self._switch()

    def _stopped(self, frame: Frame) -> None:
        self._utterance.stop(frame)
        self._give(frame)
        if self._utterance.finals:
            self._after(SETTLE_S, self._settled)
        elif self._active is not None:
            self._after(self._active.link.patience.first_s, self._late)

    async def pushed(self, port: Port, frame: Frame) -> None:
        """A frame of a recogniser."""
        if port is not self._active:
            await super().pushed(port, frame)  # a probe's
        elif isinstance(frame, ErrorFrame):
            await self._fail(port, of_error(frame))
        elif isinstance(frame, TranscriptionFrame):
            await self._text(port, frame)
        elif isinstance(frame, InterimTranscriptionFrame):
            self._utterance.interim = True
            await self.push_frame(frame)
        elif isinstance(frame, EmptyTranscriptFrame):
            await self._nothing(port, frame)

    async def _text(self, port: Port, frame: TranscriptionFrame) -> None:
        if frame.text.strip():
            self._utterance.finals.append(frame.text.strip())
        if not self._utterance.stopped:
            return
        if frame.finalized and self._utterance.finals:
            await self._answer(port)
        elif self._utterance.finals:
            self._after(SETTLE_S, self._settled)

    async def _nothing(self, port: Port, frame: EmptyTranscriptFrame) -> None:
        """It has listened and heard no words. That is an answer, but where the sound is like a
        voice another one has to say so too."""
        if frame.failed:
            await self._fail(port, Failure(Cause.ERROR))
        elif self._utterance.finals:
            await self._answer(port)
        elif self._suspect is None and self._has_other(port) and self._utterance.voiced():
            self._nothing_heard = frame
            self._doubt(port)
        else:
            await self._no_words(frame)

    async def _no_words(self, frame: EmptyTranscriptFrame) -> None:
        self._suspect = None
        self._done()
        await self.push_frame(frame)
        self._look_for_better()

    def _has_other(self, port: Port) -> bool:
        """Somebody else may hear it."""
        others = (p for p in self._ports.usable() if p is not port)
        return any(p.link.name not in self._tried for p in others)

    def _doubt(self, port: Port) -> None:
        """It says nothing: whether there were words, the next link will tell."""
        self._suspect = (port, Failure(Cause.EMPTY))
        self._tried.add(port.link.name)
        self._switch()

    async def _answer(self, port: Port) -> None:
        """The text of the utterance is there."""
        if self._suspect is not None:
            suspect, failure = self._suspect
            self._suspect = None
            await self.give_up(suspect, failure)
        port.link.breaker.succeeded(self._utterance.waited_s(self._clock()))
        self._listener.link_served(self.kind, port.link.name)
        text = " ".join(self._utterance.finals)
        self._last = deque(self._utterance.frames)
        self._done()
        await self.push_frame(TranscriptionFrame(text, "", time_now_iso8601(), finalized=True))
        self._look_for_better()

    def _done(self) -> None:
        self._stop_timer()
        self._tried.clear()
        self._nothing_heard = None
        self._utterance.answered()
        self._report_use()

    # what goes wrong

    def _settled(self) -> None:
        port = self._active
        if port is not None and self._utterance.finals and self._utterance.stopped:
            self.begin(self._answer(port))

    def _late(self) -> None:
        """No text for what the detector took for speech."""
        port = self._active
        if port is None or not self._utterance.unanswered:
            return
        if self._utterance.interim:
            self.begin(self._fail(port, Failure(Cause.STALLED)))
        else:
            self._doubt(port)

    async def _fail(self, port: Port, failure: Failure) -> None:
        if port is self._active:
            self._drop_feed()
        self._tried.add(port.link.name)
        await self.give_up(port, failure)
        self._switch()

    def _switch(self) -> None:
        """Give the utterance to the next link, from its beginning."""
        self._stop_timer()
        self._drop_feed()
        if self._switching is None or self._switching.done():
            self._switching = self.begin(self._to_next())

    async def _to_next(self) -> None:
        for port in self._ports.usable():
            if port.link.name in self._tried:
                continue
            try:
                await self._take(port, await self._place(port))
                return
            except LinkFailed as failed:
                self._tried.add(port.link.name)
                await self.give_up(port, failed.failure)
        self._tried.clear()
        if self._nothing_heard is not None:  # nobody else is there: so be it
            await self._no_words(self._nothing_heard)
        elif self._utterance.unanswered:
            self._listener.chain_exhausted(self.kind)
            speech_s = self._utterance.audio_s
            self._done()
            await self.push_frame(EmptyTranscriptFrame(speech_s, failed=True))

    async def _place(self, port: Port) -> Slot | None:
        """A place for a stream, where its vendor limits them. Raises `LinkFailed`."""
        if port.link.pace is None:
            return None
        spare_s = 0.0 if self._utterance.unanswered else port.link.patience.start_s
        return await self.slot(port, port.link.pace, spare_s=spare_s)

    async def _take(self, port: Port, slot: Slot | None) -> None:
        """Make `port` the one that listens. Raises `LinkFailed`."""
        try:
            hosted, _ = await self.ready(port)
            self._inboxes.pop(id(port), None)
            if not isinstance(hosted.service, STTService):
                raise ProviderError("no recogniser")
        except BaseException:
            if slot is not None:
                slot.release()
            raise
        self._active, self._slot = port, slot
        self._feed = feed = Feed(hosted, hosted.service)
        self._utterance.finals.clear()
        self._utterance.interim = False
        for frame in self._utterance.frames:
            feed.give(frame)
        self.begin(self._pump(feed, port))
        if self._utterance.stopped and self._utterance.unanswered:
            self._after(port.link.patience.first_s, self._late)

    async def _warm(self) -> None:
        await self._to_next()

    async def _pump(self, feed: Feed, port: Port) -> None:
        try:
            await feed.run()
        except (ProviderError, OSError) as error:
            if port is self._active:
                await self._fail(port, Failure(Cause.ERROR))
            raise ProviderError(type(error).__name__) from error

    def _give(self, frame: Frame) -> None:
        if self._feed is not None and not self._feed.give(frame):
            port = self._active
            if port is not None:
                self.begin(self._fail(port, Failure(Cause.STALLED)))

    def _drop_feed(self) -> None:
        self._report_use()
        if self._feed is not None:
            self._feed.close()
        if self._slot is not None:
            self._slot.release()
            if self._active is not None:
                self.drop(self._active)  # an open stream counts at its vendor
        self._feed = self._active = self._slot = None

    def _report_use(self) -> None:
        if self._feed is not None and self._active is not None:
            used_s = self._feed.take_seconds()
            if used_s:
                self._listener.link_used(self.kind, self._active.link.name, used_s, "s")

    # back to the one that is wanted most

    def reordered(self) -> None:
        if self._active is not None and not self._utterance.unanswered:
            self._look_for_better()

    def _look_for_better(self) -> None:
        """Between two utterances: go back to an earlier link that is well again, or see whether one
        is."""
        if probed := self._ports.to_probe():
            self.begin(self._probe(probed, list(self._last)))
        elif self._ports.usable()[0] is not self._active:
            self.begin(self._back(self._ports.usable()[0]))

    async def _back(self, port: Port) -> None:
        pace = port.link.pace
        slot = pace.slot_now() if pace is not None else None
        if pace is not None and slot is None:
            return  # no place at its vendor: perhaps after the next utterance
        try:
            await self.ready(port)
            if not self._utterance.unanswered:
                self._drop_feed()
                taken, slot = slot, None
                await self._take(port, taken)
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
        finally:
            if slot is not None:
                slot.release()
                self.drop(port)

    async def _probe(self, port: Port, frames: Sequence[Frame]) -> None:
        """Let a recogniser whose breaker was open hear the last utterance. What it says of it
        after the first words must not count for the next one, so it does not stay connected."""
        try:
            async with self.paced(port, priority=Priority.OTHER):
                if not await self._hears(port, frames):
                    return
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
            return
        self._look_for_better()

    async def _hears(self, port: Port, frames: Sequence[Frame]) -> bool:
        """Whether it is a recogniser; then it has heard words. Raises `LinkFailed`."""
        hosted, inbox = await self.ready(port)
        if not isinstance(hosted.service, STTService):
            return False
        feed = Feed(hosted, hosted.service)
        for frame in frames:
            feed.give(frame)
        pump = self.begin(feed.run())
        begun = self._clock()
        try:
            while True:
                frame = await inbox.get(2 * port.link.patience.first_s)
                if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
                    break
        except TimeoutError:
            raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None
        finally:
            pump.cancel()
            self._listener.link_used(self.kind, port.link.name, feed.take_seconds(), "s")
        self._inboxes.pop(id(port), None)
        await port.drop()
        port.link.breaker.succeeded(self._clock() - begun)
        return True

    # timers, and what a service may have beside

    def _after(self, delay_s: float, do: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, do)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _of_service(self, name: str) -> None:
        port = self._active
        if port is not None and port.hosted is not None:
            do = getattr(port.hosted.service, name, None)
            if do is not None:
                do()

    async def _close(self) -> None:
        self._stop_timer()
        self._drop_feed()
        await super()._close()
