"""A text, the words it is made of and when each is heard: what a voice knows of its own audio."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """One word as it is written in the reply, with the stretch of audio that says it.

    Times are seconds from the first sample of the audio the word belongs to.
    """

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class SpokenText:
    """A text and when each of its words is heard; `words` joined by spaces is the text."""

    text: str
    words: tuple[Word, ...]

    def heard(self, played_s: float) -> str:
        """The words of which at least half was played in the first `played_s` seconds."""
        return " ".join(w.text for w in self.words if (w.start_s + w.end_s) / 2 <= played_s)
