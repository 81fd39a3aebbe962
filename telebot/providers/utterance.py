"""One sentence in one voice: what came of its audio, and how many of its words that says.

`chain_tts.py` feeds it and hands on what it gives back. Audio is int16 mono at the line's rate.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from telebot.audio import levels
from telebot.audio.resample import resample
from telebot.providers.spoken import Word

RATE_HZ = 8000
PIECE = 320  # bytes of 20 ms of a telephone's
PIECES_A_S = 50
QUIET_RMS = 50  # -56 dBFS: a telephone line hums louder
KEEP_S = 0.25  # of silence, which is a pause; more is held until sound comes after it
MUTE_S = 1.0  # this much silence inside a sentence is no pause: the voice has fallen silent
QUIET_END_S = 0.06  # of a word: a closed lip, a breath
CUT_S, CUT_SHARE = 0.1, 0.1  # of the loudest piece (-20 dB)
LAST_S = 0.35  # how long the last word is at least taken to be, where only its start is told
APART_S = 0.03  # words told to begin at the same moment are told wrong
WORD = re.compile(r"[\W_]+")


class Muted(Exception):
    """The voice sends audio without sound; `pcm16` is what came before and is to be handed on."""

    def __init__(self, pcm16: bytes) -> None:
        super().__init__("muted")
        self.pcm16 = pcm16


class Utterance:
    """`words` are to be said; `at_s` is where in the reply's audio they begin."""

    def __init__(self, words: Sequence[str], at_s: float, rate_hz: int = RATE_HZ) -> None:
        self.words = tuple(words)
        self.at_s = at_s
        self.rate_hz = rate_hz
        self._size = rate_hz // PIECES_A_S * 2
        self.pcm = bytearray()  # handed on so far
        self.loud_s = 0.0
        self.sounds_from_s = 0.0
        self.sounds_until_s = 0.0  # of what was handed on
        self._held = bytearray()
        self._rest = b""
        self._quiet_s = 0.0
        self._level = self._loudest = 0.0  # RMS of the last piece with sound, and of the loudest
        self._told: list[Word] = []  # by the voice itself

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def audio_s(self) -> float:
        """Seconds handed on."""
        return len(self.pcm) / 2 / self.rate_hz

    def narrow(self) -> bytes:
        """What was handed on, at 8 kHz, for those who judge it."""
        return resample(bytes(self.pcm), self.rate_hz, RATE_HZ)

    def feed(self, pcm16: bytes) -> bytes:
        """More audio; returns what is to be handed on. Raises `Muted`."""
        data, out, size = self._rest + pcm16, bytearray(), self._size
        cut = len(data) - len(data) % size
        self._rest = data[cut:]
        for i in range(0, cut, size):
            self._piece(data[i : i + size], out)
            if self._quiet_s > MUTE_S:
                break
        self.pcm += out
        if self._quiet_s > MUTE_S:
            raise Muted(bytes(out))
        return bytes(out)

    def end(self) -> bytes:
        """No more audio comes; a long silence at the end stays away."""
        rest, self._rest, self._held = self._rest, b"", bytearray()
        if self._quiet_s >= KEEP_S:
            return b""
        self.pcm += rest
        return rest

    @property
    def cut_off(self) -> bool:
        """Its sound breaks off and silence follows: no word fades so fast."""
        return self._quiet_s >= CUT_S and self._level > CUT_SHARE * self._loudest

    @property
    def abrupt(self) -> bool:
        """It ends in full sound, without a fade or a silence: some voices do, and what is broken
        off does."""
        return not self._quiet_s and self._level > CUT_SHARE * self._loudest

    def tell(self, words: Sequence[Word]) -> None:
        """The voice says when it says some of its words; seconds from the utterance's start."""
        self._told += words

    @property
    def told(self) -> tuple[Word, ...]:
        """The voice's own word times, where they are of the words that it was given."""
        if not self._told or len(self._told) > len(self.words):
            return ()
        fits = all(
            _plain(told.text) == _plain(word)
            for told, word in zip(self._told, self.words, strict=False)
        )
        starts = [word.start_s for word in self._told]
        apart = all(b - a >= APART_S for a, b in itertools.pairwise(starts))
        if not fits or not apart:
            return ()
        ends = [word.start_s for word in self._told[1:]] + [self._told[-1].start_s + LAST_S]
        return tuple(
            Word(word.start_s, max(word.end_s, end) if word.end_s > word.start_s else end, text)
            for word, end, text in zip(self._told, ends, self.words, strict=False)
        )

    def complete(self, words: Sequence[Word]) -> int:
        """How many of `words` the audio handed on says to their end. What is told to lie behind its
        last sound was not said: the voice has fallen silent."""
        count = 0
        for word in words:
            if word.end_s > self.sounds_until_s + QUIET_END_S:
                break
            count += 1
        return count

    def stretched(self, words: Sequence[Word], from_s: float, to_s: float) -> tuple[Word, ...]:
        """The times of `words` in other audio, which sounds between these two, laid evenly over
        what sounds here."""
        here_s = self.sounds_from_s
        pace = (self.sounds_until_s - here_s) / max(to_s - from_s, 0.001)
        return tuple(
            Word(here_s + (w.start_s - from_s) * pace, here_s + (w.end_s - from_s) * pace, w.text)
            for w in words
        )

    def _piece(self, piece: bytes, out: bytearray) -> None:
        level, piece_s = levels.rms(piece), 1 / PIECES_A_S
        if level > QUIET_RMS:
            self._level, self._loudest = level, max(level, self._loudest)
            out += self._held + piece
            self._held.clear()
            self._quiet_s = 0.0
            if not self.loud_s:
                self.sounds_from_s = self._at_s(out) - piece_s
            self.loud_s += piece_s
            self.sounds_until_s = self._at_s(out)
            return
        self._quiet_s += piece_s
        if self._quiet_s > KEEP_S:
            self._held += piece
        else:
            out += piece

    def _at_s(self, out: bytearray) -> float:
        return (len(self.pcm) + len(out)) / 2 / self.rate_hz


def _plain(word: str) -> str:
    return WORD.sub("", word).lower()
