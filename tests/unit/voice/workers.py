"""Providers that do what a test says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np

from telebot.providers.breaker import Breakers
from telebot.providers.clips import (
    ClipFailed,
    Recording,
    Script,
    Transcript,
    Use,
    characters,
    lost,
)
from telebot.providers.failure import Cause
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.pacing import Pacing
from telebot.providers.resources import Resources
from telebot.voice.attempts import Attempts
from telebot.voice.offers import Offer, Offers
from telebot.voice.routing import Router

HZ = 8000


def sound(seconds: float, amplitude: int = 9000, hz: int = HZ) -> bytes:
    """A tone; amplitude 0 is silence."""
    times = np.arange(round(seconds * hz)) / hz
    return (np.sin(2 * np.pi * 300 * times) * amplitude).astype("<i2").tobytes()


@dataclass
class Hearer:
    """Gives these answers, one a recording; a `Cause` is a failure."""

    answers: list[str | Cause | Transcript]
    model: str = "m"
    abilities: frozenset = frozenset()
    longest_s: float = 1000.0
    asked: list[Recording] = field(default_factory=list)

    async def transcribe(self, recording: Recording) -> Transcript:
        self.asked.append(recording)
        answer = self.answers[min(len(self.asked), len(self.answers)) - 1]
        if isinstance(answer, Cause):
            raise lost(answer)
        return answer if isinstance(answer, Transcript) else Transcript(answer)


@dataclass
class Talker:
    """Says these pieces; a `Cause` among them is a failure there, a number a pause of seconds."""

    pieces: list[bytes | Cause | float]
    model: str = "m"
    abilities: frozenset = frozenset()
    longest: int = 1000
    rate_hz: int = HZ
    asked: list[Script] = field(default_factory=list)
    closed: int = 0

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        self.asked.append(script)
        try:
            for piece in self.pieces:
                if isinstance(piece, Cause):
                    raise lost(piece)
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                else:
                    yield piece
        finally:
            self.closed += 1

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)


@dataclass
class Filer(Talker):
    """Gives these pieces as a file too."""

    files: frozenset[str] = frozenset({"mp3"})
    kinds: list[str] = field(default_factory=list)

    def speak_file(self, script: Script, kind: str) -> AsyncIterator[bytes]:
        self.kinds.append(kind)
        return self.speak(script)


def offer(work: str, provider: str, worker: Hearer | Talker) -> Offer:
    return Offer(work, provider, worker.model, worker, "")


def attempts(clock=time.monotonic) -> Attempts:
    offers = Offers(Resources(LocalSpeech(), {}))
    return Attempts(Router(offers, Breakers(clock)), Pacing({}, clock), "tests", clock)


__all__ = ["ClipFailed", "Hearer", "Talker", "attempts", "offer", "sound"]
