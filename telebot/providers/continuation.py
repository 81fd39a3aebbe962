"""Going on with a reply that another model began: what of the new words is new.

The next model is told what the caller has heard and asked to go on. Some go on at the next letter,
some at the next word, some say the sentence again; `Seam` lets through only what was not said.
Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
TIGHT = tuple(".,;:!?)…")
# a word that ends the one part and begins the other is mostly the next sentence's own
COMMON = frozenset(
    "a an and are as at be for from in is it of on or our the to we with you".split()
)
LOOK_AHEAD = 400  # characters held back at the most, to see whether they were said before


def instruction(said: str) -> Mapping[str, Any]:
    """The message that asks a model to go on; `said` stands between «»."""
    return {
        "role": "system",
        "content": (
            "Your reply to the caller was cut off by a technical fault. The caller has heard this "
            f"much of it: «{said}». Go on with the very next word, so that both parts read as one "
            "reply. Repeat nothing, do not apologise, do not mention this."
        ),
    }


def words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]


class Seam:
    """Takes the pieces of the new reply and gives back what is to be said."""

    def __init__(self, said: str) -> None:
        self._said = said
        self._said_words = words(said)
        self._held = ""
        self._open = not self._said_words

    def feed(self, piece: str) -> str:
        """More of the new reply; returns what may be said now."""
        if self._open:
            return piece
        self._held += piece
        if self._undecided() and len(self._held) < LOOK_AHEAD:
            return ""
        return self._release()

    def end(self) -> str:
        """The new reply is over; returns what was still held back."""
        return "" if self._open else self._release()

    def _undecided(self) -> bool:
        """What is held may still turn out to be said before."""
        held = words(self._held)
        whole = self._held[-1:].isspace() or self._held[-1:] in ".,;:!?"
        complete = held if whole else held[:-1]
        if not complete:
            return True
        return any(
            self._said_words[at : at + len(complete)] == complete
            for at in range(len(self._said_words) - len(complete) + 1)
        )

    def _release(self) -> str:
        self._open = True
        rest = self._held[self._repeated() :]
        if not rest.strip():
            return ""
        return self._joined(rest)

    def _repeated(self) -> int:
        """How many characters of what is held were said before: the longest beginning that is the
        end of what was said, with the punctuation that closed it."""
        found = list(WORD.finditer(self._held))
        held = [match[0].lower() for match in found]
        for count in range(min(len(held), len(self._said_words)), 0, -1):
            if self._said_words[-count:] == held[:count] and (
                count > 1 or held[0] not in COMMON or len(self._said_words) == 1
            ):
                end = found[count - 1].end()
                if self._said.rstrip()[-1:] in TIGHT:
                    end += len(self._held[end:]) - len(self._held[end:].lstrip("".join(TIGHT)))
                return end
        return 0

    def _joined(self, rest: str) -> str:
        """With the one space that the parts need between them."""
        begins = rest.lstrip()
        tight = not self._said.strip() or begins[:1] in TIGHT
        return begins if tight else " " + begins
