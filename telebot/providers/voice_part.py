"""What one voice makes of a sentence, or of the rest of one: `chain_tts.py` has it said.

It hands the audio on, sees a voice that stalls, falls silent or stops too soon, and tells how many
words were said whole when one broke off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from pipecat.clocks.base_clock import BaseClock
from pipecat.frames.frames import (
    Frame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)

from telebot.audio.resample import ToRate
from telebot.providers.chain import Inbox, LinkFailed
from telebot.providers.failure import Cause, Failure
from telebot.providers.frames import Word, WordTimesFrame
from telebot.providers.link import Port
from telebot.providers.utterance import Muted, Utterance
from telebot.providers.word_clock import WordClock, Yardstick

SPARE_S = 0.8  # of audio still to play when a stalled voice is given up: a word and what was sent
LONGEST_STALL_S = 4.0  # however much audio lies ahead
PLENTY_S, JOINED_S = 0.4, 0.2  # of audio ahead: small pieces are handed on joined to larger ones
SHORT = 0.45  # of the yardstick's length: no voice speaks this fast
FAST = 0.85  # less than this may be a fast voice, or one that stopped before the end
MISSING = 2  # words at the end that tell the one from the other
SHORT_WORDS = 4  # fewer words cannot be judged by their length
YARDSTICK_S = 0.1  # how long the first audio waits for it
TAIL_S = 0.04  # of a word's sound behind its time


class Mouth(Protocol):
    """Where a part's audio goes: the chain."""

    def get_clock(self) -> BaseClock: ...

    def ahead_s(self) -> float:
        """Audio that the caller has not heard yet, at the least."""
        ...

    async def hand_on(self, pcm16: bytes) -> None: ...

    async def place(
        self,
        utterance: Utterance,
        words: Sequence[Word],
        *,
        again: bool,
        exactly: Callable[[], Awaitable[Sequence[Word]]] | None = None,
    ) -> None: ...

    async def take_back(self, at_s: float) -> None: ...


class Part:
    """What one voice makes of (the rest of) a sentence."""

    def __init__(
        self,
        mouth: Mouth,
        port: Port,
        utterance: Utterance,
        word_clock: WordClock,
        clock: Callable[[], float],
    ) -> None:
        self.utterance = utterance
        self.first_s: float | None = None
        self._mouth = mouth
        self._port = port
        self._word_clock = word_clock
        self._clock = clock
        self._to_rate: ToRate | None = None
        self._base_ns: int | None = None
        self._begins: Frame | None = None
        self._told = port.link.timed
        self._yardstick: asyncio.Task[Yardstick] | None = None
        if not self._told:
            self._yardstick = asyncio.create_task(
                word_clock.yardstick(utterance.words), name="yardstick"
            )

    def close(self) -> None:
        if self._yardstick is not None:
            self._yardstick.cancel()

    async def begin(self, inbox: Inbox) -> None:
        """Until the first audio, which waits for `rest`. Raises `LinkFailed`."""
        begun = self._clock()
        self._begins = await self.first_sound(inbox, self._port.link.patience.first_s)
        self.first_s = self._clock() - begun

    async def rest(self, inbox: Inbox) -> None:
        """Hand the audio on until the voice has said everything. Raises `LinkFailed`."""
        frame: Frame | None = self._begins
        while frame is not None:
            await self._frame(frame)
            frame = await self._next(inbox)
        await self._end()

    async def first_sound(self, inbox: Inbox, timeout_s: float) -> TTSAudioRawFrame:
        """The first audio. Raises `LinkFailed`."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout_s
        while True:
            try:
                frame = await inbox.get(max(0.0, until - clock()))
            except TimeoutError:
                raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None
            if isinstance(frame, TTSAudioRawFrame) and frame.audio:
                return frame
            if isinstance(frame, TTSStoppedFrame):
                raise LinkFailed(Failure(Cause.SILENT))
            if isinstance(frame, WordTimesFrame):
                await self._words(frame)

    async def broken_off(self) -> int:
        """The voice failed: the words that its audio says whole. A word that it only began is taken
        back as far as nobody has heard it, said by the next one, and stands once in the record."""
        said, until_s = 0, 0.0
        words: Sequence[Word] = ()
        if self.utterance.loud_s:
            words = await self._placed(whole=False)
            said = self.utterance.complete(words)
        if said:
            until_s = words[said - 1].end_s + TAIL_S
        await self._mouth.take_back(self.utterance.at_s + until_s)
        await self._mouth.place(self.utterance, words[:said], again=True)
        return said

    async def _next(self, inbox: Inbox) -> Frame | None:
        stall_s, mouth = self._port.link.patience.stall_s, self._mouth
        if (ahead_s := mouth.ahead_s()) > PLENTY_S:
            stalls_s = min(LONGEST_STALL_S, max(stall_s, ahead_s - SPARE_S))
            await inbox.gather(JOINED_S, min(stalls_s, ahead_s - JOINED_S))
        wait_s = min(LONGEST_STALL_S, max(stall_s, mouth.ahead_s() + inbox.quiet_s() - SPARE_S))
        try:
            frame = await inbox.get(wait_s - inbox.quiet_s())
        except TimeoutError:
            raise LinkFailed(Failure(Cause.STALLED)) from None
        return None if isinstance(frame, TTSStoppedFrame) else frame

    async def _frame(self, frame: Frame) -> None:
        if isinstance(frame, TTSAudioRawFrame):
            await self._audio(frame)
        elif isinstance(frame, WordTimesFrame):
            await self._words(frame)
        elif isinstance(frame, TTSTextFrame) and frame.pts and self._base_ns is not None:
            at_s = max(0.0, (frame.pts - self._base_ns) / 1e9)
            self.utterance.tell([Word(at_s, at_s, frame.text)])

    async def _audio(self, frame: TTSAudioRawFrame) -> None:
        if self._to_rate is None or self._to_rate.rate_hz != frame.sample_rate:
            self._to_rate = ToRate(frame.sample_rate, self.utterance.rate_hz)
        if self._base_ns is None:
            self._base_ns = self._mouth.get_clock().get_time()
            await self._guess()
        await self._hand_on(self._to_rate.feed(frame.audio))

    async def _hand_on(self, pcm16: bytes) -> None:
        try:
            await self._mouth.hand_on(self.utterance.feed(pcm16))
        except Muted as muted:
            await self._mouth.hand_on(muted.pcm16)
            raise LinkFailed(Failure(Cause.SILENT)) from None

    async def _words(self, frame: WordTimesFrame) -> None:
        """Times that come ahead of their audio, as the local voice tells them."""
        self._told = True
        at_s = self.utterance.audio_s
        words = [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in frame.words]
        self.utterance.tell(words)
        await self._mouth.place(self.utterance, words, again=False)

    async def _guess(self) -> None:
        """Before the audio: where its words will lie if the voice speaks like the yardstick."""
        if self._told or self._yardstick is None:
            return
        await asyncio.wait([self._yardstick], timeout=YARDSTICK_S)
        if self._yardstick.done():
            await self._mouth.place(self.utterance, self._yardstick.result().words, again=False)

    async def _end(self) -> None:
        if self._to_rate is not None:
            await self._hand_on(self._to_rate.feed(b"", last=True))
        await self._mouth.hand_on(self.utterance.end())
        if not self.utterance.loud_s:
            raise LinkFailed(Failure(Cause.SILENT))
        if self._told or self._yardstick is None:
            return
        yardstick = await self._yardstick
        if await self._is_short(yardstick):
            raise LinkFailed(Failure(Cause.SHORT))
        if told := self.utterance.told:
            await self._mouth.place(self.utterance, told, again=True)
            return
        guess, exactly = (
            self.utterance.stretched(yardstick.words, *yardstick.sounds()),
            partial(self._placed, whole=True),
        )
        await self._mouth.place(self.utterance, guess, again=True, exactly=exactly)

    async def _is_short(self, yardstick: Yardstick) -> bool:
        """The audio ended before its text did, and nobody said so."""
        words, loud_s = self.utterance.words, self.utterance.loud_s
        if self.utterance.cut_off:
            return self.utterance.complete(await self._placed(whole=False)) < len(words)
        if len(words) < SHORT_WORDS or loud_s >= FAST * yardstick.seconds:
            return False
        if loud_s < SHORT * yardstick.seconds:
            return True
        said = self.utterance.complete(await self._placed(whole=False))
        missing = len(words) - said
        if not missing or not len(yardstick.audio):
            return False
        if missing >= MISSING:
            return True
        pcm16 = self.utterance.narrow()
        return self.utterance.abrupt and await self._word_clock.stops_early(pcm16, yardstick)

    async def _placed(self, *, whole: bool) -> Sequence[Word]:
        """The words' times in the audio: the voice's own, or by the yardstick."""
        told = self.utterance.told
        if told or self._yardstick is None:
            return told
        yardstick = await self._yardstick
        return await self._word_clock.place(self.utterance.narrow(), yardstick, whole=whole)
