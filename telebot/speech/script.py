"""Which words of a reply lie where in its audio, so that what was heard is known by the word.

A provider that times its words gives exact positions (`WordTimesFrame`, or Pipecat text frames
with a presentation time); for one that does not, the words of each stretch of text are spread over
its audio by their length.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from telebot.audio.line import TICKS_PER_S

TAIL = TICKS_PER_S // 10  # of a word's sound behind its time


@dataclass(frozen=True, slots=True)
class PlacedWord:
    """A word between two play-out positions."""

    start: int
    end: int
    text: str


class Script:
    """The words of one reply, placed as they become known."""

    def __init__(self) -> None:
        self._placed: list[PlacedWord] = []
        self._loose: list[tuple[int, str]] = []  # text, and the position when it came

    @property
    def text(self) -> str:
        """Everything the reply says, as far as it is known."""
        if self._loose:
            return _joined(text for _, text in self._loose)
        return _joined(word.text for word in self._placed)

    def place(self, start: int, words: Iterable[tuple[float, float, str]]) -> None:
        """Timed words; seconds count from the audio at position `start`."""
        for start_s, end_s, text in words:
            at = start + int(start_s * TICKS_PER_S)
            self._placed.append(PlacedWord(at, start + int(end_s * TICKS_PER_S), text))

    def replace(self, start: int, words: Iterable[tuple[float, float, str]]) -> None:
        """The same, where words from `start` on were placed by a guess before."""
        self._placed = [word for word in self._placed if word.start < start]
        self.place(start, words)

    def correct(self, start: int, end: int, words: Iterable[tuple[float, float, str]]) -> None:
        """The same between two positions; what lies before and behind them stays."""
        before = [word for word in self._placed if word.start < start]
        behind = [word for word in self._placed if word.start >= end]
        self._placed = before
        self.place(start, words)
        self._placed += behind

    def add(self, position: int, text: str) -> None:
        """Untimed text that came when audio up to `position` was queued."""
        if text.strip():
            self._loose.append((position, text))

    def heard(self, played: int, start: int, end: int) -> str:
        """The words played up to position `played`; the reply's audio is `start` to `end`."""
        if played >= end > start:
            return self.text
        words = self._words(start, end)
        return _joined(word.text for word in words if (word.start + word.end) // 2 <= played)

    def word_start(self, played: int, start: int, end: int) -> int:
        """Where the word begins that is being said at `played`; `played` between words."""
        for word in self._words(start, end):
            if word.start < played < word.end:
                return word.start
        return played

    def sentence_end(self, position: int, start: int, end: int) -> int | None:
        """Where the sentence ends that is being said at `position`; None where that is not known
        yet."""
        words = self._words(start, end)
        for number, word in enumerate(words):
            if word.end > position and word.text.rstrip("\"')\u201d\u2019").endswith(
                (".", "?", "!")
            ):
                behind = [each.start for each in words[number + 1 : number + 2]]
                return max(word.end, min([word.end + TAIL, *behind]))
        return None

    def _words(self, start: int, end: int) -> list[PlacedWord]:
        if self._placed:
            return self._placed
        words = " ".join(text for _, text in self._loose).split()
        letters = sum(len(word) + 1 for word in words)
        placed, at = [], 0
        for word in words:
            begin = start + (end - start) * at // letters
            at += len(word) + 1
            placed.append(PlacedWord(begin, start + (end - start) * at // letters, word))
        return placed


def _joined(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())
