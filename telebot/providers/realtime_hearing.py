"""The caller's side of a chain of speech-to-speech sessions: what of the audio goes to a session,
and the processor that stands where a call's recogniser would.

A session is given utterances, from a little before the detector was sure to their end, and no
silence. One that answers at the end of every utterance is not given what may be no interruption at
all: while the bot has the floor the utterance waits here, and the words that judge it come from the
local recogniser (`chain_realtime.py`).
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telebot.providers.listening import PREROLL_S, Feed

BYTES_A_SECOND = 16000  # of int16 at 8 kHz
HELD_S = 20.0  # of an utterance that waits to be judged


class Hears(Protocol):
    """What the ears tell the chain."""

    async def hear(self, frame: InputAudioRawFrame) -> None: ...

    async def speech_started(self, frame: VADUserStartedSpeakingFrame) -> None: ...

    async def speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None: ...

    def of_recogniser(self, name: str) -> None: ...

    def settle(self) -> None: ...


class RealtimeEars(FrameProcessor):
    """Stands for the STT service of a call."""

    def __init__(self, chain: Hears) -> None:
        super().__init__(enable_direct_mode=True)
        self._chain = chain

    async def process_audio_frame(self, frame: InputAudioRawFrame, _: FrameDirection) -> None:
        """Caller audio, int16 at 8 kHz; returns at once, however slowly a vendor reads."""
        await self._chain.hear(frame)

    def pause(self) -> None:
        self._chain.of_recogniser("pause")

    def resume(self) -> None:
        self._chain.of_recogniser("resume")

    def settle(self) -> None:
        """Tell what was used, before the bill is written."""
        self._chain.settle()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            await self._chain.speech_started(frame)
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            await self._chain.speech_stopped(frame)
        await self.push_frame(frame, direction)


class Window:
    """What one session gets of the caller's audio. `always`: everything."""

    def __init__(self, feed: Feed, *, always: bool) -> None:
        self._feed = feed
        self._always = always
        self._waiting: deque[InputAudioRawFrame] = deque()  # not given: before speech, or held
        self._waiting_size = 0  # bytes
        self._begin: Frame | None = None  # of an utterance that is held
        self._open = False
        self.fits = True  # the session takes what it is given

    @property
    def held(self) -> bool:
        return self._begin is not None

    def hear(self, frame: InputAudioRawFrame) -> None:
        if self._always or self._open:
            self.give(frame)
            return
        self._waiting.append(frame)
        self._waiting_size += len(frame.audio)
        most = round((HELD_S if self.held else PREROLL_S) * BYTES_A_SECOND)
        while self._waiting_size > most:
            self._waiting_size -= len(self._waiting.popleft().audio)

    def begin(self, frame: Frame, *, hold: bool) -> None:
        """Speech begins, or goes on."""
        if self._always or self._open:
            return
        if hold or self.held:
            self._begin = self._begin or frame
            return
        self._let_through(frame)

    def stop(self, frame: Frame) -> None:
        if self._open:
            self._open = False
            self.give(frame)

    def release(self, end: Frame | None) -> None:
        """What was held is no nod: the session gets it, with its end where it is over."""
        begin, self._begin = self._begin, None
        if begin is not None:
            self._let_through(begin)
        if end is not None:
            self.stop(end)

    def forget(self) -> None:
        """It was a nod."""
        self._begin = None

    def held_audio(self) -> bytes:
        return b"".join(frame.audio for frame in self._waiting)

    def give(self, frame: Frame) -> None:
        self.fits = self._feed.give(frame) and self.fits

    def _let_through(self, begin: Frame) -> None:
        self._open = True
        self.give(begin)
        for waiting in self._waiting:
            self.give(waiting)
        self._waiting.clear()
        self._waiting_size = 0
