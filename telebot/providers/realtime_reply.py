"""One reply of a chain of speech-to-speech sessions on its way to the caller: its audio at the
phone's rate, and where in it each word is said.

Sessions tell their words, not when they say them: while a reply is made its words lie where the
local voice would say them, and once it is whole they are placed by its audio (`word_clock.py`). The
same tells how many words were said whole when a session breaks off in the middle.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from pipecat.frames.frames import (
    Frame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
)
from pipecat.utils.text.simple_text_aggregator import SimpleTextAggregator

from telebot.audio import levels
from telebot.audio.resample import ToPhone
from telebot.providers.chain import Inbox, LinkFailed
from telebot.providers.failure import Cause, Failure
from telebot.providers.frames import ToolCalledFrame, Word, WordTimesFrame
from telebot.providers.link import Patience
from telebot.providers.utterance import QUIET_RMS, RATE_HZ
from telebot.providers.word_clock import WordClock

MUTE_S = 2.0  # this much silence within a reply is no pause: the voice has fallen silent
SPARE_S = 0.2  # of audio still to play when a stalled session is given up
LONGEST_STALL_S = 4.0  # however much audio lies ahead
PLACE_S = 0.5  # how long a reply's end waits for its words' places
PIECE = 320  # bytes of 20 ms

Push = Callable[[Frame], Awaitable[None]]


class RealtimeReply:
    """What is said of one reply, by one session after another."""

    def __init__(self, push: Push, word_clock: WordClock, clock: Callable[[], float]) -> None:
        self._push = push
        self._word_clock = word_clock
        self._clock = clock
        self._first_at: float | None = None
        self.handed_s = 0.0  # audio of all sessions
        self.called: list[str] = []  # functions of the call
        self.said: list[str] = []  # words of sessions that broke off, said whole
        self._begin()

    def _begin(self) -> None:
        """The part of one session."""
        self.at_s = self.handed_s  # where it begins
        self._pcm = bytearray()
        self._text = ""
        self._to_phone: ToPhone | None = None
        self._sentences = SimpleTextAggregator()  # type: ignore[no-untyped-call]
        self._guessed_s = 0.0
        self._timed: list[Word] = []  # by the session itself
        self._quiet_s = 0.0
        self.lead_s = 0.0  # silence before its first sound, which the caller is spared

    @property
    def text(self) -> str:
        """What the session says, as far as it is known."""
        return self._text

    @property
    def spoken_s(self) -> float:
        """Audio of this session."""
        return len(self._pcm) / 2 / RATE_HZ

    def ahead_s(self) -> float:
        """Audio that the caller has not heard yet, at the least."""
        if self._first_at is None:
            return 0.0
        return max(0.0, self.handed_s - (self._clock() - self._first_at))

    async def begins(self, inbox: Inbox, patience: Patience) -> float:
        """Take what a session says until its first audio; what was left of another reply does not
        count. Returns the seconds it took. Raises `LinkFailed`."""
        begun = self._clock()
        loop_time = asyncio.get_running_loop().time
        until, started = loop_time() + patience.first_s, False
        while not self.spoken_s:
            try:
                frame = await inbox.get(max(0.0, until - loop_time()))
            except TimeoutError:
                raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None
            started = started or isinstance(frame, LLMFullResponseStartFrame)
            if started and isinstance(frame, LLMFullResponseEndFrame):
                raise LinkFailed(Failure(Cause.EMPTY))
            if started:
                await self._take(frame)
        return self._clock() - begun

    async def goes_on(self, inbox: Inbox, patience: Patience) -> None:
        """The rest. A stall counts once the audio handed on is about to run out."""
        frame: Frame | None = None
        while not isinstance(frame, LLMFullResponseEndFrame):
            wait_s = min(LONGEST_STALL_S, max(patience.stall_s, self.ahead_s() - SPARE_S))
            try:
                frame = await inbox.get(wait_s)
            except TimeoutError:
                raise LinkFailed(Failure(Cause.STALLED)) from None
            await self._take(frame)
        await self._end()

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            await self._audio(frame)
        elif isinstance(frame, WordTimesFrame):
            await self._timed_words(frame)
        elif isinstance(frame, LLMTextFrame):
            await self._words(frame.text)
        elif isinstance(frame, ToolCalledFrame):
            self.called.append(frame.name)

    async def _words(self, text: str) -> None:
        """More of what is said."""
        self._text += text
        if self._timed:
            return
        async for sentence in self._sentences.aggregate(text):
            await self._guess(sentence.text)

    async def _timed_words(self, frame: WordTimesFrame) -> None:
        """Where words lie, by the session itself; seconds count from its first audio."""
        at_s = frame.at_s or 0.0
        self._timed += [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in frame.words]
        frame.at_s = self.at_s + at_s
        await self._push(frame)

    async def _audio(self, frame: TTSAudioRawFrame) -> None:
        """More of how it is said."""
        if self._to_phone is None or self._to_phone.rate_hz != frame.sample_rate:
            self._to_phone = ToPhone(frame.sample_rate)
        await self._hand_on(self._to_phone.feed(frame.audio))

    async def _end(self) -> None:
        """The session has said everything."""
        if self._to_phone is not None:
            await self._hand_on(self._to_phone.feed(b"", last=True))
        if not self._timed:
            await self._place(await self._words_at(whole=True))

    async def broken_off(self) -> None:
        """The session failed: count what it said whole; the next one goes on from there."""
        if self._pcm:
            words = self._timed or await self._words_at(whole=False)
            whole = [word for word in words if word.end_s <= self.spoken_s]
            if not self._timed:
                await self._place(words[: len(whole) + 1])
            self.said += [word.text for word in whole]
        self._begin()

    async def _hand_on(self, pcm16: bytes) -> None:
        if not pcm16:
            return
        kept = 0
        for at in range(0, len(pcm16), PIECE):
            piece = pcm16[at : at + PIECE]
            loud = levels.rms(piece) > QUIET_RMS
            self._quiet_s = 0.0 if loud else self._quiet_s + len(piece) / 2 / RATE_HZ
            if not loud and not self._pcm and kept == at:
                kept = at + len(piece)
        if self._quiet_s > MUTE_S:
            raise LinkFailed(Failure(Cause.SILENT))
        self.lead_s += kept / 2 / RATE_HZ
        pcm16 = pcm16[kept:]
        if not pcm16:
            return
        if self._first_at is None:
            self._first_at = self._clock()
        self._pcm += pcm16
        self.handed_s += len(pcm16) / 2 / RATE_HZ
        await self._push(TTSAudioRawFrame(pcm16, RATE_HZ, 1))

    async def _guess(self, sentence: str) -> None:
        """A sentence is known: where its words will lie if it is said as the local voice does."""
        words = sentence.split()
        if not words:
            return
        yardstick = await self._word_clock.yardstick(words)
        at_s, self._guessed_s = self._guessed_s, self._guessed_s + yardstick.seconds
        await self._push(
            WordTimesFrame("", yardstick.words, yardstick.seconds, at_s=self.at_s + at_s)
        )

    async def _words_at(self, *, whole: bool) -> Sequence[Word]:
        words = self._text.split()
        if not words:
            return ()
        yardstick = await self._word_clock.yardstick(words)
        placing = self._word_clock.place(bytes(self._pcm), yardstick, whole=whole)
        try:
            async with asyncio.timeout(PLACE_S):
                return await placing
        except TimeoutError:
            return yardstick.words

    async def _place(self, words: Sequence[Word]) -> None:
        if words:
            await self._push(
                WordTimesFrame("", tuple(words), self.spoken_s, at_s=self.at_s, replaces=True)
            )
