"""The recogniser of a call, as a chain: caller audio in, one text for each utterance out.

The audio of an utterance is kept until its text is there; a recogniser that fails, or says nothing
about clear speech, is replaced and the next one hears the utterance from its beginning
(`chain_listeners.py`). Texts leave whole, once the caller has stopped, so that none is said twice.
Interim texts pass as they come.
"""

from __future__ import annotations

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
from pipecat.utils.time import time_now_iso8601

from telebot.providers.chain import ChainListener
from telebot.providers.chain_listeners import Listeners
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.link import Link, Port

SETTLE_S = 0.3  # after a text without a word that it is the last, another may follow


class ChainSTT(Listeners):
    """Stands for an STT service: `process_audio_frame`, and the VAD's frames down the pipeline."""

    def __init__(
        self, links: Sequence[Link], listener: ChainListener, clock: Callable[[], float]
    ) -> None:
        super().__init__(links, listener, clock)
        self._suspect: tuple[Port, Failure] | None = None  # said nothing; was there anything?
        self._nothing_heard: EmptyTranscriptFrame | None = None  # what it did say

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio; returns at once, however slowly a vendor reads."""
        self._utterance.hear(frame)
        self._give(frame, hurry=self._utterance.unanswered)

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
            self._after(self._active.link.patience.first_s, self.late)

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

    def late(self) -> None:
        """No text for what the detector took for speech."""
        port = self._active
        if port is None or not self._utterance.unanswered:
            return
        if self._utterance.interim:
            self.begin(self._fail(port, Failure(Cause.STALLED)))
        else:
            self._doubt(port)

    async def nobody_listens(self) -> None:
        if self._nothing_heard is not None:  # nobody else is there: so be it
            await self._no_words(self._nothing_heard)
        elif self._utterance.unanswered:
            self._listener.chain_exhausted(self.kind)
            speech_s = self._utterance.audio_s
            self._done()
            await self.push_frame(EmptyTranscriptFrame(speech_s, failed=True))
