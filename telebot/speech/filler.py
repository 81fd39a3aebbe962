"""A short phrase that masks the wait for a reply: "One moment."

An agent that wants it says after how long (`speech.filler_s`); its phrases are made with the others
at the start. `waiting.py` has one said when a reply has no audio by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from telebot.agent_settings import AgentSettings
from telebot.speech.phrases import Phrase

NAME = "filler_"


def filler_texts(settings: AgentSettings, fillers: Iterable[str]) -> dict[str, str]:
    """An agent's fillers by the names that they have among its phrases; none where it says none."""
    if settings.speech.filler_s is None:
        return {}
    return {f"{NAME}{number}": text for number, text in enumerate(fillers)}


class Fillers:
    """Those of one call, one after another. `said` is reset when a turn is over; a caller who goes
    on behind one is still in the same turn."""

    def __init__(self, after_s: float, phrases: Sequence[Phrase]) -> None:
        self.after_s = after_s
        self._phrases = list(phrases)
        self.said = False  # in this turn

    @classmethod
    def of(cls, settings: AgentSettings, phrases: Mapping[str, Phrase]) -> Fillers | None:
        """The fillers of a call, where the agent wants any."""
        after_s = settings.speech.filler_s
        own = [phrase for name, phrase in phrases.items() if name.startswith(NAME)]
        return None if after_s is None or not own else cls(after_s, own)

    def next(self) -> Phrase | None:
        """The one to be said now; None where this turn had one."""
        if self.said:
            return None
        self.said = True
        phrase = self._phrases.pop(0)
        self._phrases.append(phrase)
        return phrase
