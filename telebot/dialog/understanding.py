"""A text understood without a provider: its intents, what it names, its language and its feeling.

For work that is no call (`voice/intents.py`); calls have `brain.py`. Intents are an agent's own, or
those that a request brings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date

from telebot.dialog.actions import FieldValue
from telebot.dialog.agent import Agent
from telebot.dialog.agent_file import Intent
from telebot.dialog.entities import Entity, entities
from telebot.dialog.extraction import Asked, extract
from telebot.dialog.hearing import Utterance, placed
from telebot.dialog.intents import JOINS, IntentMatcher, Scored
from telebot.dialog.language import Language, language
from telebot.dialog.sentiment import Sentiment, sentiment

_END = re.compile(r"[.!?\n]\s*")
ENGLISH = "en"
PART_CHARS = 500  # read at once; some rules' time grows with the square


@dataclass(frozen=True, slots=True)
class Wanted:
    """An intent, the characters [start, end) that hold it, and the slots of its form that the text
    fills. `by` tells how it was found: keyword, only (the whole text says it) or likeness."""

    intent: str
    score: float
    start: int
    end: int
    by: str
    slots: Mapping[str, FieldValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Understood:
    """What is None is not known."""

    intents: tuple[Wanted, ...]
    entities: tuple[Entity, ...]
    language: Language | None
    sentiment: Sentiment | None


class Understanding:
    """Compiled for one set of intents. Immutable. Building one that has examples, and asking it for
    the first time, block for a while: not in the event loop."""

    def __init__(self, intents: Mapping[str, Intent], agent: Agent | None = None) -> None:
        self._agent = agent
        self._matcher = agent.matcher if agent is not None else IntentMatcher(intents)

    def of(self, text: str, today: date, tongue: str | None = None) -> Understood:
        """A text of any length. `tongue` is its language where that is known. Intents and entities
        are looked for in English alone, as far as can be told."""
        known = Language(tongue, None) if tongue else language(text)
        if known is not None and known.tag.partition("-")[0].lower() != ENGLISH:
            return Understood((), (), known, None)
        found: list[Wanted] = []
        named: list[Entity] = []
        hours = self._agent.hours if self._agent is not None else None
        for at, part in _parts(text):
            found += self._wanted(part, at, today)
            named += (_moved(each, at) for each in entities(part, today, hours))
        felt = sentiment(text) if known is not None else None
        return Understood(tuple(_best(found)), tuple(named), known, felt)

    def _wanted(self, text: str, at: int, today: date) -> Iterator[Wanted]:
        heard = placed(text)
        for each in self._matcher.scored(heard):
            start, end = _place(each, heard)
            slots = self._slots(each.intent, text, today)
            yield Wanted(each.intent, each.score, at + start, at + end, each.hit.by, slots)

    def _slots(self, intent: str, text: str, today: date) -> Mapping[str, FieldValue]:
        if self._agent is None:
            return {}
        form = self._agent.forms.get(self._agent.intents[intent].form or "")
        if form is None:
            return {}
        heard = placed(text)
        asked = Asked(
            form=form,
            filled={},
            awaiting=None,
            last_filled=(),
            confirming=False,
            bare_name=False,
            today=today,
            hours=self._agent.hours,
            caller_number=None,
        )
        return extract(heard, heard.text, asked)


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """The text in parts that are read at once, cut behind sentences, each with where it begins."""
    at = 0
    while len(text) - at > PART_CHARS:
        ends = [match.end() for match in _END.finditer(text, at, at + PART_CHARS)]
        cut = ends[-1] if ends else text.rfind(" ", at, at + PART_CHARS) + 1
        cut = cut if cut > at else at + PART_CHARS
        yield at, text[at:cut]
        at = cut
    yield at, text[at:]


def _place(each: Scored, heard: Utterance) -> tuple[int, int]:
    """Where its clause stands in the text, without the word that joins it on."""
    inside = [
        word
        for start, word in zip(heard.starts, heard.words, strict=True)
        if each.hit.start <= start < each.hit.end
    ]
    if len(inside) > 1 and inside[0].text in JOINS:
        inside = inside[1:]
    return (inside[0].place[0], inside[-1].place[1]) if inside else (0, 0)


def _moved(entity: Entity, by: int) -> Entity:
    return Entity(
        entity.type, entity.text, entity.start + by, entity.end + by, entity.value,
        entity.others, entity.more,
    )  # fmt: skip


def _best(found: list[Wanted]) -> list[Wanted]:
    """Each intent once, where it is surest."""
    best: dict[str, Wanted] = {}
    for each in sorted(found, key=lambda each: (-each.score, each.start)):
        best.setdefault(each.intent, each)
    return sorted(best.values(), key=lambda each: each.start)
