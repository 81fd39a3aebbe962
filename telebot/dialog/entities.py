"""What a text names: dates, times, numbers, money, names, telephone numbers, addresses; each with
its place in the text and its value in one form.

The finders of `slots/` run in order of their certainty, each on what the ones before it left over.
They know spoken English. Next: `understanding.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, time
from typing import Any

from telebot.dialog.extraction import fits_hours
from telebot.dialog.hearing import Utterance, placed
from telebot.dialog.hours import OpeningHours
from telebot.dialog.slots.dates import find_dates
from telebot.dialog.slots.found import Found, blank
from telebot.dialog.slots.names import find_explicit_names, find_names
from telebot.dialog.slots.phones import find_phones
from telebot.dialog.slots.times import find_times
from telebot.dialog.slots.written import (
    NOTHING,
    find_addresses,
    find_money_in_words,
    find_written,
)

_DIGITS = re.compile(r"(?<![\w#.:])\d+(?:st|nd|rd|th)?(?![\w#.:])")


@dataclass(frozen=True, slots=True)
class Entity:
    """One thing that is named. `start` and `end` are its characters in the text; `value` is a
    date (ISO 8601), a time (HH:MM), a number, a sum or a name as text. `others` are further
    readings of it: "seven" may be in the morning."""

    type: str
    text: str
    start: int
    end: int
    value: str
    others: tuple[str, ...] = ()
    more: Mapping[str, Any] = field(default_factory=dict)


def entities(text: str, today: date, hours: OpeningHours | None = None) -> list[Entity]:
    """All of them, in the order of the text. `hours` help to tell the morning from the evening."""
    found: list[Entity] = []
    left = text
    for kind, each, more in _written(text):
        if not _free(left, each):
            continue
        if kind is not NOTHING:
            found.append(_entity(kind, text, each, (each.start, each.end), more=more))
        left = _blanked(left, each)
    heard = placed(left)
    for kind, each, others, more in _spoken(heard, today, hours):
        place = _place(heard, _bare(heard, each) if kind == "name" else each)
        if kind == "number" and text[place[0] - 1 : place[0]].isalnum():
            continue  # BA123 is a name of something
        found.append(_entity(kind, text, each, place, others=others, more=more))
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda entity: (entity.start, -entity.end)):
        if not kept or entity.start >= kept[-1].end:  # ¼ is read as two numbers
            kept.append(entity)
    return kept


def _written(text: str) -> Iterator[tuple[str, Found, dict[str, Any]]]:
    for kind, each in find_addresses(text):
        yield kind, each, {}
    yield from find_written(text)


def _spoken(
    heard: Utterance, today: date, hours: OpeningHours | None
) -> Iterator[tuple[str, Found, tuple[str, ...], dict[str, Any]]]:
    text = heard.text

    def taken(found: Iterable[Found]) -> list[Found]:
        nonlocal text
        kept = [each for each in found if "#" not in text[each.start : each.end]]
        text = blank(text, kept)
        return kept

    for each in taken(find_explicit_names(heard)):
        yield "name", each, (), {}
    for each in taken(each for each in find_phones(text, None, bare=False) if each.sure):
        yield "phone", each, (), {}
    sums = dict(find_money_in_words(text))
    for each in taken(sums):
        yield "money", each, (), sums[each]
    for each in taken(find_dates(text, today, bare=False)):
        yield "date", each, (), {}
    for each, others in _times(text, hours):
        if taken([each]):
            yield "time", each, others, {}
    for each in taken(_numbers(text)):
        yield "number", each, (), {}
    for each in taken(find_names(heard, text, bare=False)):
        yield "name", each, (), {}


def _times(text: str, hours: OpeningHours | None) -> list[tuple[Found, tuple[str, ...]]]:
    """Times, and what else each may mean: read once as if of the morning, once of the evening."""
    fits = fits_hours(hours, None)
    likely = find_times(text, fits, bare=False)
    readings = [
        {(each.start, each.end): str(each.value) for each in find_times(text, way, bare=False)}
        for way in (_before_noon, _after_noon)
    ]
    told = []
    for each in likely:
        place = (each.start, each.end)
        others = {reading.get(place, str(each.value)) for reading in readings} - {str(each.value)}
        told.append((each, () if hours is not None else tuple(sorted(others))))
    return told


def _before_noon(at: time) -> bool:
    return at.hour < 12


def _after_noon(at: time) -> bool:
    return at.hour >= 12


def _numbers(text: str) -> Iterator[Found]:
    for match in _DIGITS.finditer(text):
        digits = match.group().rstrip("stndrh")
        yield Found(str(int(digits)), match.start(), match.end())


def _place(heard: Utterance, found: Found) -> tuple[int, int]:
    """The characters of the written text from which this was read."""
    first, last = heard.index_at(found.start), heard.index_at(max(found.start, found.end - 1))
    return heard.words[first].place[0], heard.words[last].place[1]


def _bare(heard: Utterance, found: Found) -> Found:
    """A name without the words that announce it: "the name is Mary"."""
    letters = _letters(str(found.value))
    for start in heard.starts:
        inside = found.start <= start < found.end
        if inside and _letters(heard.text[start : found.end]) == letters:
            return replace(found, start=start)
    return found


def _letters(text: str) -> str:
    return "".join(filter(str.isalpha, text.lower()))


def _free(left: str, found: Found) -> bool:
    return "\0" not in left[found.start : found.end]


def _blanked(text: str, found: Found) -> str:
    """Unreadable for the finders after this one, in its place; a mark, so that no name or number
    goes on over it."""
    return text[: found.start] + "\0" * (found.end - found.start) + text[found.end :]


def _entity(
    kind: str,
    text: str,
    found: Found,
    place: tuple[int, int],
    *,
    others: tuple[str, ...] = (),
    more: Mapping[str, Any] | None = None,
) -> Entity:
    start, end = place
    return Entity(kind, text[start:end], start, end, str(found.value), others, more or {})
