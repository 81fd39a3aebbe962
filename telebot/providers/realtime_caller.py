"""What becomes of the caller's speech in a chain of speech-to-speech sessions: to whom it goes,
what was understood of it, and what has to be heard again by the next one.

The `ears` stand in the pipeline where a recogniser would, the chain behind the gate of turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.time import time_now_iso8601

from telebot.providers.failure import Cause, Failure
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.listening import Feed, Utterance
from telebot.providers.realtime import Played, RealtimeSession
from telebot.providers.realtime_hearing import RealtimeEars, Window
from telebot.providers.realtime_usual import Usual

OWN_TURNS_S = 2.0  # what a session may take longer that finds the end of a turn by itself

LocalWords = Callable[[bytes], Awaitable[str]]


class Owner(Protocol):
    """What the caller's side asks of the chain."""

    played: Played

    def lost(self, failure: Failure) -> None:
        """The session in use is no good any more."""
        ...

    def utterance_begins(self) -> None:
        """The session is about to hear the caller."""
        ...

    def settle(self) -> None:
        """Tell what the session has used and not told."""
        ...

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]: ...


class Caller:
    """One call's. `local_words` hears an utterance (int16 at 8 kHz) on this machine."""

    def __init__(self, owner: Owner, usual: Usual, local_words: LocalWords) -> None:
        self.ears = RealtimeEars(self)
        self.utterance = Utterance()
        self.understood = False  # the session heard the turn that is to be answered
        self._owner = owner
        self._usual = usual
        self._local_words = local_words
        self._session: RealtimeSession | None = None
        self._window: Window | None = None
        self._feed: Feed | None = None
        self._text_s = 0.0  # what a session may take for its text
        self._judged = False  # the words of the last utterance were heard here
        self._timer: asyncio.TimerHandle | None = None

    # --- who listens ---------------------------------------------------------------------------

    def attach(self, feed: Feed, session: RealtimeSession, text_s: float) -> None:
        """This session listens from now on; it hears what nobody has understood yet."""
        self._session, self._feed = session, feed
        self._window = window = Window(feed, always=session.always_hears)
        self._text_s = text_s + (OWN_TURNS_S if session.always_hears else 0.0)
        self.understood = self._judged = False
        self._owner.utterance_begins()
        kept = self.utterance
        if kept.unanswered:
            window.begin(VADUserStartedSpeakingFrame(), hold=False)
        for frame in kept.frames:
            if isinstance(frame, InputAudioRawFrame):
                window.hear(frame)
        if kept.unanswered and kept.stopped:
            window.stop(VADUserStoppedSpeakingFrame())
            self._await_text()

    def detach(self) -> None:
        """Nobody listens any more."""
        self._stop_timer()
        self._session = self._window = None
        feed, self._feed = self._feed, None
        if feed is not None:
            feed.close()

    def give(self, frame: Frame) -> None:
        """A frame for the session, behind what it was given before."""
        if self._feed is not None:
            self._feed.give(frame)

    # --- what the ears hear --------------------------------------------------------------------

    async def hear(self, frame: InputAudioRawFrame) -> None:
        self.utterance.hear(frame)
        window = self._window
        if window is not None:
            if window.held and not self._owner.played.occupied:
                self._owner.utterance_begins()
                window.release(None)
            window.hear(frame)
            if not window.fits:
                self._owner.lost(Failure(Cause.STALLED))
        elif self._usual.up:
            await self._usual.hear(frame)

    async def speech_started(self, frame: VADUserStartedSpeakingFrame) -> None:
        self._stop_timer()
        self.utterance.begin(frame)
        if self._window is not None and self._session is not None:
            hold = self._session.answers_at_once and self._owner.played.occupied
            if not hold:
                self._judged = False
                self._owner.utterance_begins()
            self._window.begin(frame, hold=hold)
        elif self._usual.up:
            await self._usual.tell(frame)

    async def speech_stopped(self, frame: VADUserStoppedSpeakingFrame) -> None:
        self.utterance.stop(frame)
        window = self._window
        if window is None:
            if self._usual.up:
                await self._usual.tell(frame)
        elif window.held:
            self._owner.begin(self._judge(window, frame))
        else:
            window.stop(frame)
            self._await_text()

    def of_recogniser(self, name: str) -> None:
        if self._usual.up:
            self._usual.of_recogniser(name)

    def settle(self) -> None:
        self._owner.settle()
        self.of_recogniser("settle")

    async def _judge(self, window: Window, end: VADUserStoppedSpeakingFrame) -> None:
        """An utterance over the bot's voice, which the session has not heard: its words by the
        local recogniser say whether it takes the floor."""
        text = await self._local_words(window.held_audio())
        frame: Frame = EmptyTranscriptFrame(self.utterance.audio_s)
        if text:
            frame = TranscriptionFrame(text, "", time_now_iso8601(), finalized=True)
        played = self._owner.played
        dropped = played.dropped
        await self.ears.push_frame(frame)  # the turn logic has decided when this returns
        if window is not self._window:
            return
        if window.held and played.occupied and played.dropped == dropped:
            window.forget()
            self.utterance.answered()
            return
        self._owner.utterance_begins()
        window.release(end)
        self._judged = self.understood = True

    # --- what was understood -------------------------------------------------------------------

    async def heard(self, frame: Frame) -> None:
        """What the session has understood."""
        if isinstance(frame, EmptyTranscriptFrame) and frame.failed:
            self._owner.lost(Failure(Cause.ERROR))
            return
        if isinstance(frame, InterimTranscriptionFrame):
            if self.utterance.stopped:
                self._await_text()
        else:
            self._stop_timer()
            self.utterance.answered()
            self.understood = self.understood or isinstance(frame, TranscriptionFrame)
        if not self._judged:
            await self.ears.push_frame(frame)

    def _await_text(self) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(self._text_s, self._no_text)

    def _no_text(self) -> None:
        if self._session is not None and self.utterance.unanswered and self.utterance.stopped:
            self._owner.lost(Failure(Cause.EMPTY))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
