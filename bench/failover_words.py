"""Which words of a reply a caller heard, and how often: by where their samples lie in the audio.

All voices of a rehearsal are the same model, which says a text always alike. So what was heard is
compared with the audio of each sentence, and of each rest of it that another voice may have begun
anew; no recogniser guesses. Pure but for `Voice`, which speaks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telebot.providers.local_speech import LocalSpeech
from telebot.providers.spoken import Word
from telebot.providers.voicing import to_float

RATE_HZ = 8000
CHUNK, HOP = 1280, 640  # samples: 160 ms are unlike any other 160 ms
ALIKE = 0.9  # normalised correlation; other words stay below 0.8
LOUD = 0.01
SLACK = 40  # samples by which a resampled voice may drift between two chunks
LONGEST_GAP = 6 * RATE_HZ
LOST = 400  # samples that may be missing between two chunks: a pause that was shortened
MISSED = 3  # chunks in a row that are not found: it was broken off there
LATE = 2  # chunks that need not be found at the start: a busy machine stumbles there
END_S = 0.1  # of a word: what is quiet at its end

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Clip:
    """A text as it is spoken: float samples at 8 kHz, and its words' times."""

    samples: Floats
    words: tuple[Word, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Words that were not heard whole, and words that were heard twice (at least half of the first
    time)."""

    missing: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        return not self.missing and len(self.repeated) <= 1


class Voice:
    """Sentences, and every rest of them from a word on, spoken once."""

    def __init__(self, local: LocalSpeech) -> None:
        self._local = local
        self._rests: dict[str, list[Clip]] = {}

    async def rests(self, sentence: str) -> Sequence[Clip]:
        """The sentence from its first word on, from its second, …"""
        if sentence not in self._rests:
            words = sentence.split()
            texts = [" ".join(words[at:]) for at in range(len(words))]
            self._rests[sentence] = [await self._clip(text) for text in texts]
        return self._rests[sentence]

    async def _clip(self, text: str) -> Clip:
        pcm, words, at_s = bytearray(), [], 0.0
        async for clip in self._local.tts.stream(text):
            pcm += clip.pcm16
            words += [Word(at_s + w.start_s, at_s + w.end_s, w.text) for w in clip.spoken.words]
            at_s += clip.audio_s
        return Clip(to_float(bytes(pcm)), tuple(words))


def judge(audio: Floats, sentences: Mapping[str, Sequence[Clip]]) -> Verdict:
    """`audio` is what was heard (8 kHz); `sentences` each with its rests, in their order."""
    missing: list[str] = []
    repeated: list[str] = []
    at = 0
    for sentence, rests in sentences.items():
        words = sentence.split()
        whole = begun = 0  # words heard to their end; at least by half
        while whole < len(words):
            found = _next(audio, at, rests, whole)
            if found is None:
                missing += words[whole:]
                break
            first, said_s, at = found
            missing += words[whole:first]
            repeated += words[first:begun]
            times = rests[first].words
            whole = first + sum(word.end_s <= said_s + END_S for word in times)
            begun = first + sum((word.start_s + word.end_s) / 2 <= said_s for word in times)
    return Verdict(tuple(missing), tuple(repeated))


def _next(
    audio: Floats, since: int, rests: Sequence[Clip], expected: int
) -> tuple[int, float, int] | None:
    """The word that a voice went on with, how many seconds from there on were heard, and where
    that ends. The likeliest is tried first."""
    for first in sorted(range(len(rests)), key=lambda at: (abs(at - expected), at)):
        heard = _follow(audio, since, rests[first])
        if heard is not None:
            return first, *heard
    return None


def _follow(audio: Floats, since: int, clip: Clip) -> tuple[float, int] | None:
    """How many seconds of the clip are in the audio from `since` on, and where that ends."""
    matched: list[tuple[int, int]] = []  # in the clip, in the audio
    missed = 0
    for at, piece in _chunks(clip.samples):
        low, high = since, min(len(audio), since + LONGEST_GAP)
        place = None
        if matched:
            expected = matched[-1][1] + at - matched[-1][0]
            place = _find(audio, piece, expected - SLACK, expected + CHUNK + SLACK)
            low, high = expected - LOST, min(len(audio), expected + LONGEST_GAP)
        place = _find(audio, piece, low, high) if place is None else place
        if place is None:
            missed += 1
            if missed > (MISSED if matched else LATE):
                break
        else:
            missed = 0
            matched.append((at, place))
    if len(matched) < min(2, sum(1 for _ in _chunks(clip.samples))):
        return None
    at, place = matched[-1]
    said_s = (at + CHUNK if missed else len(clip.samples)) / RATE_HZ
    return said_s, place  # the next voice may begin inside this chunk


def _chunks(samples: Floats) -> Iterator[tuple[int, Floats]]:
    """The loud pieces of a clip, overlapping by half."""
    for at in range(0, max(1, len(samples) - CHUNK + 1), HOP):
        piece = samples[at : at + CHUNK]
        if len(piece) == CHUNK and float(np.sqrt((piece**2).mean())) > LOUD:
            yield at, piece


def _find(audio: Floats, piece: Floats, low: int, high: int) -> int | None:
    """Where between `low` and `high` the piece lies; the first of the best."""
    low = max(0, low)
    window = audio[low:high].astype(np.float64)
    if len(window) < len(piece):
        return None
    size = 1 << (len(window) + len(piece) - 1).bit_length()
    spectrum = np.fft.rfft(window, size) * np.conj(np.fft.rfft(piece, size))
    product = np.fft.irfft(spectrum, size)[: len(window) - len(piece) + 1]
    power = np.concatenate(([0.0], np.cumsum(window**2)))
    energy = power[len(piece) :] - power[: -len(piece)]
    alike = product / np.sqrt(
        np.maximum(energy, 1e-6) * float((piece.astype(np.float64) ** 2).sum())
    )
    best = int(alike.argmax())
    return low + best if alike[best] >= ALIKE else None
