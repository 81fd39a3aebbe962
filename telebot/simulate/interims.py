"""How a simulated streaming recogniser hears: interims while an utterance goes on, then its words.

Asked by the vendors whose wire sends interims; the faults' points are reached here, so that they
mean the same in every vendor's session.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

from telebot.providers.spoken import Word
from telebot.simulate.faults import Exchange
from telebot.simulate.speech import Hearing, Speech

FIRST_S = 0.6  # of audio in an utterance before its first interim
EVERY_S = 1.0
SLOW_S = 0.2


@dataclass(frozen=True, slots=True)
class Heard:
    """Words of an utterance, so far or in all; times count from the session's start."""

    text: str
    start_s: float
    end_s: float

    @property
    def words(self) -> tuple[Word, ...]:
        """The words, with the utterance's time shared out by their length."""
        words, found, at_s = self.text.split(), [], self.start_s
        letters = sum(map(len, words)) or 1
        for word in words:
            end_s = at_s + (self.end_s - self.start_s) * len(word) / letters
            found.append(Word(at_s, end_s, word))
            at_s = end_s
        return tuple(found)


async def at_pace(exchange: Exchange) -> None:
    """Before each message that a session reads: a slow reader takes its time."""
    if exchange.slow:
        await asyncio.sleep(SLOW_S)


class Listener:
    """One session's ear. Raises what `Exchange.reach` raises."""

    def __init__(self, exchange: Exchange, speech: Speech, rate_hz: int, encoding: str) -> None:
        self._exchange = exchange
        self._speech = speech
        self._hearing = Hearing(rate_hz, encoding)
        self._next_s = FIRST_S
        self._interims = 0
        self.ended = False  # with the last audio, silence after the words: it looks over

    @property
    def audio_s(self) -> float:
        """How much audio has come."""
        return self._hearing.audio_s

    @property
    def start_s(self) -> float:
        """Where the utterance begins."""
        return self.audio_s - self._lasts_s

    @property
    def heard_speech(self) -> bool:
        """There is an utterance going on."""
        return self._hearing.heard_speech

    @property
    def _lasts_s(self) -> float:
        return len(self._hearing.pcm16) / 2 / self._hearing.rate_hz

    async def feed(self, audio: bytes) -> AsyncIterator[Heard]:
        """More audio; gives an interim where one is due. Reaches `first` before the first and
        `middle` before the second."""
        self.ended = self._hearing.feed(audio)
        lasts_s = self._lasts_s
        if self.heard_speech and not self.ended and lasts_s >= self._next_s:
            self._next_s = lasts_s + EVERY_S
            await self._point()
            heard = await self._hear()
            if heard.text:
                yield heard

    async def finish(self) -> Heard:
        """The utterance is over: all its words ("" where there were none). Reaches `end`, and on
        the way what a short utterance has not reached."""
        if self.heard_speech:
            while self._interims < 2:
                await self._point()
            await self._exchange.reach("end")
        heard = await self._hear()
        self._hearing.take()
        self._next_s, self._interims = FIRST_S, 0
        return heard

    async def _point(self) -> None:
        self._interims += 1
        if self._interims <= 2:
            await self._exchange.reach("first" if self._interims == 1 else "middle")

    async def _hear(self) -> Heard:
        text = ""
        if self.heard_speech and not self._exchange.silent:
            text = await self._speech.hear(self._hearing.pcm16, self._hearing.rate_hz)
        return Heard(text, self.start_s, self.audio_s)
