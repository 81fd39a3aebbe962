"""The ears of a simulated vendor that recognises a stream: when it says what, and where its faults
happen.

An interim result after 0.8 and 1.6 s of an utterance and every 2 s from then on; ``first`` is
before the first of them, ``middle`` before the second, ``end`` before the final one. What a short
utterance has not reached by then, it reaches on the way to its end.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from telebot.simulate.faults import Exchange, Point
from telebot.simulate.server import Simulator
from telebot.simulate.speech import Hearing

INTERIMS_S = (0.8, 1.6)
LATER_S = 2.0
SLOW_S = 0.5  # for one message, where the vendor is to read slowly


@dataclass(frozen=True, slots=True)
class Heard:
    """What an utterance was, and where in the session's audio."""

    text: str
    start_s: float
    end_s: float


class Listening:
    """One session. Raises what `Exchange.reach` raises."""

    def __init__(self, sim: Simulator, exchange: Exchange, hearing: Hearing) -> None:
        self._sim = sim
        self._exchange = exchange
        self._hearing = hearing
        self._next_s = INTERIMS_S[0]
        self._points: list[Point] = ["first", "middle"]
        self.endpoint = False  # whether the last audio ended an utterance

    @property
    def audio_s(self) -> float:
        """How much audio has come."""
        return self._hearing.audio_s

    async def feed(self, audio: bytes) -> Heard | None:
        """More audio; what the utterance is so far, where it is time to say so."""
        if self._exchange.slow:
            await asyncio.sleep(SLOW_S)
        self.endpoint = self._hearing.feed(audio)
        length_s = len(self._hearing.pcm16) / 2 / self._hearing.rate_hz
        if not self._hearing.heard_speech or length_s < self._next_s:
            return None
        later = [time_s for time_s in INTERIMS_S if time_s > length_s]
        self._next_s = later[0] if later else length_s + LATER_S
        if self._points:
            await self._exchange.reach(self._points.pop(0))
        return await self._now(self._hearing.pcm16)

    async def finish(self) -> Heard:
        """The utterance is over: all of it. Its text is "" where nobody spoke."""
        if not self._hearing.heard_speech:
            return Heard("", self.audio_s, self.audio_s)
        points, self._points = self._points, ["first", "middle"]
        self._next_s = INTERIMS_S[0]
        try:
            for point in (*points, "end"):
                await self._exchange.reach(point)
            return await self._now(self._hearing.pcm16)
        finally:
            self._hearing.take()

    async def _now(self, pcm16: bytes) -> Heard:
        start_s = self.audio_s - len(pcm16) / 2 / self._hearing.rate_hz
        silent = self._exchange.silent
        text = "" if silent else await self._sim.speech.hear(pcm16, self._hearing.rate_hz)
        return Heard(text, start_s, self.audio_s)
