"""Word times for voices that tell none, by the local voice as the yardstick (`word_alignment`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from telebot.call.errors import ProviderError
from telebot.providers.local_speech import LocalSpeech
from telebot.providers.spoken import Word
from telebot.providers.utterance import PIECE, QUIET_RMS, RATE_HZ
from telebot.providers.voicing import Floats, to_float
from telebot.providers.word_alignment import place_words, stops_early

CHARACTER_S = 0.065  # a guess, where the local voice cannot be had


@dataclass(frozen=True, slots=True)
class Yardstick:
    """A text as the local voice says it: float samples at 8 kHz and word times."""

    audio: Floats
    words: tuple[Word, ...]

    @property
    def seconds(self) -> float:
        return self.words[-1].end_s if self.words else 0.0

    def sounds(self) -> tuple[float, float]:
        """From when to when something is to be heard."""
        size = PIECE // 2
        pieces = self.audio[: len(self.audio) // size * size].reshape(-1, size)
        loud = np.flatnonzero(np.square(pieces).mean(axis=1) > (QUIET_RMS / 32768) ** 2)
        if not len(loud):
            return 0.0, self.seconds
        return int(loud[0]) * size / RATE_HZ, (int(loud[-1]) + 1) * size / RATE_HZ


class WordClock:
    """Shared by the calls of a process. Everything heavy happens in threads."""

    def __init__(self, local: LocalSpeech) -> None:
        self._local = local

    async def yardstick(self, words: Sequence[str]) -> Yardstick:
        """The words as the local voice says them (15 ms); a guess by their letters where it
        cannot."""
        pieces: list[Floats] = []
        times: list[Word] = []
        at_s = 0.0
        try:
            async for clip in self._local.tts.stream(" ".join(words)):
                pieces.append(to_float(clip.pcm16))
                times += [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in clip.spoken.words]
                at_s += clip.audio_s
        except ProviderError:
            times = []
        if len(times) != len(words):
            return Yardstick(np.zeros(0, np.float32), _guess(words))
        texts = zip(times, words, strict=True)
        placed = tuple(Word(time.start_s, time.end_s, word) for time, word in texts)
        return Yardstick(np.concatenate(pieces), placed)

    async def place(self, pcm16: bytes, yardstick: Yardstick, *, whole: bool) -> tuple[Word, ...]:
        """The yardstick's words in audio of the same text (int16, 8 kHz), whole or broken off."""
        if not len(yardstick.audio):
            return yardstick.words
        audio = to_float(pcm16)
        placed = await asyncio.to_thread(
            place_words, audio, yardstick.audio, yardstick.words, whole=whole
        )
        return placed or yardstick.words

    async def stops_early(self, pcm16: bytes, yardstick: Yardstick) -> bool:
        """Audio (int16, 8 kHz) that is clearly no more than a beginning of the text."""
        return await asyncio.to_thread(stops_early, to_float(pcm16), yardstick.audio)


def _guess(words: Sequence[str]) -> tuple[Word, ...]:
    placed, at_s = [], 0.0
    for word in words:
        end_s = at_s + (len(word) + 1) * CHARACTER_S
        placed.append(Word(at_s, end_s, word))
        at_s = end_s
    return tuple(placed)
