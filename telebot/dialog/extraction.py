"""Which slots of a form a sentence fills: the finders of `slots/` run in order of their certainty,
each on what the ones before it left over.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, time

from telebot.dialog.actions import FieldValue
from telebot.dialog.agent_file import Form
from telebot.dialog.hearing import Utterance
from telebot.dialog.hours import OpeningHours
from telebot.dialog.slots.dates import find_dates
from telebot.dialog.slots.found import Found, amends, blank, chosen
from telebot.dialog.slots.names import find_explicit_names, find_names
from telebot.dialog.slots.numbers import find_numbers
from telebot.dialog.slots.phones import find_phones
from telebot.dialog.slots.times import find_times
from telebot.dialog.slots.yes_no import yes_or_no
from telebot.dialog.words import CORRECTION, WEEKDAYS

_CORRECTION = re.compile(CORRECTION + r"|\bto\b")
_CORRECTING = re.compile(CORRECTION)
# A sentence with this many slots may end in a bare name: "four, Friday, half seven, Johnson".
_TELLING = 2
_THE_TIME = re.compile(r"\b(?:the|our|my) time\b")
_ROUGHLY = re.compile(r"(?:around|about|by|from|say) \d{1,2}")
_DIGIT = re.compile(r"\d")
_ALONE = re.compile(r"(?:(?:yes|yeah|yep|okay|right|well|oh) )*\d{1,4}(?: please)?")
_MAKE_IT = re.compile(r"\b(?:make (?:it|that)|actually|sorry|i mean|i meant)\b")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the finders need to know of the moment."""

    form: Form
    filled: dict[str, FieldValue]
    awaiting: str | None
    last_filled: tuple[str, ...]
    confirming: bool
    bare_name: bool
    today: date
    hours: OpeningHours | None
    caller_number: str | None

    def slot_of(self, kind: str) -> str | None:
        """The slot of this type that a value belongs to: the asked one, an empty one, the last."""
        names = [name for name, slot in self.form.slots.items() if slot.type == kind]
        if self.awaiting in names:
            return self.awaiting
        recent = [name for name in names if name in self.last_filled]
        empty = [name for name in names if name not in self.filled]
        return next(iter([*empty, *recent, *names]), None)

    def awaits(self, kind: str) -> bool:
        """Whether the open question is for this type."""
        return self.awaiting is not None and self.form.slots[self.awaiting].type == kind


def fits_hours(hours: OpeningHours | None, day: date | None) -> Callable[[time], bool]:
    """Whether a clock time lies within the day's hours, or within any day's."""
    if hours is None:
        return lambda _at: False
    if day is not None and hours.on(day):
        return lambda at: hours.is_open(day, at)
    return hours.ever_open


def extract(heard: Utterance, text: str, asked: Asked) -> dict[str, FieldValue]:
    """Slot values in the sentence. `text` is its text with clauses that are questions blanked."""
    fills: dict[str, FieldValue] = {}

    def take(kind: str, candidates: list[Found], use: list[Found] | None = None) -> None:
        nonlocal text
        picked = chosen(candidates if use is None else use, text, _CORRECTION)
        slot = asked.slot_of(kind)
        if slot and picked:
            fills[slot] = picked.value
        text = blank(text, candidates)

    take("name", [f for f in find_explicit_names(heard) if text[f.start : f.start + 1] != "#"])
    if asked.slot_of("phone"):
        take("phone", find_phones(text, asked.caller_number, bare=asked.awaits("phone")))
    take("date", find_dates(text, asked.today, bare=asked.awaits("date")))
    _take_weekday(asked, fills, text)
    if asked.slot_of("time"):
        take("time", _times(asked, text, _day(asked, fills)))
    if asked.slot_of("number"):
        numbers = find_numbers(text)
        take("number", numbers, _meant(asked, numbers, fills, text))
    if asked.slot_of("name") not in (None, *fills):
        whole = len(fills) >= _TELLING
        take("name", find_names(heard, text, bare=_bare_name(asked), last=whole))
    if asked.awaits("yes_no") and asked.awaiting:
        answer = yes_or_no(heard.text)
        if answer is not None:
            fills[asked.awaiting] = "yes" if answer else "no"
    return fills


def _bare_name(asked: Asked) -> bool:
    return asked.awaits("name") or asked.bare_name


def _take_weekday(asked: Asked, fills: dict[str, FieldValue], text: str) -> None:
    """A slot of type "day" holds a weekday's name, without a date."""
    slot = asked.slot_of("day")
    named = re.search(rf"\b({'|'.join(WEEKDAYS)})s?\b", text.replace("#", " "))
    if slot and named:
        fills[slot] = named[1]


def _day(asked: Asked, fills: dict[str, FieldValue]) -> date | None:
    slot = asked.slot_of("date")
    value = fills.get(slot, asked.filled.get(slot)) if slot else None
    return date.fromisoformat(str(value)) if value else None


def _times(asked: Asked, text: str, day: date | None) -> list[Found]:
    """Times; a lone number is one where a time is asked for, named or has just been said."""
    fits = fits_hours(asked.hours, day)
    named = bool(_THE_TIME.search(text)) and (asked.confirming or asked.awaits("time"))
    just_said = asked.last_filled == (asked.slot_of("time"),) and _CORRECTING.search(text)
    named = named or bool(just_said and not asked.awaits("number"))
    if named or (asked.awaits("time") and not _corrects_number(asked, text)):
        return find_times(text, fits, bare=True)
    found = find_times(text, fits, bare=False)
    if asked.awaits("number"):  # "about six" people
        found = [item for item in found if not _ROUGHLY.fullmatch(text[item.start : item.end])]
    more = find_times(blank(text, found), fits, bare=True)
    return found + [
        item for item in more
        if any(amends(item, f, text) or amends(f, item, text) for f in found)
    ]  # fmt: skip


def _corrects_number(asked: Asked, text: str) -> bool:
    """ "actually make it five" right after a number was given means that number."""
    number, correcting = asked.slot_of("number"), _MAKE_IT.search(text)
    said_before = correcting and _DIGIT.search(text[: correcting.start()])
    return number in asked.last_filled and bool(correcting) and not said_before


def _meant(
    asked: Asked, numbers: list[Found], fills: dict[str, FieldValue], text: str
) -> list[Found]:
    """Bare numbers count when a number is asked for, still missing, or being corrected."""
    slot = asked.slot_of("number")
    wanted = asked.awaits("number") or (slot not in asked.filled and not asked.confirming)
    if wanted or _CORRECTING.search(text):
        return numbers
    alone = asked.confirming and _ALONE.fullmatch(text)
    known = _numbers_known(asked) if alone else set()
    return [item for item in numbers if item.sure or (alone and item.value not in known)]


def _numbers_known(asked: Asked) -> set[int]:
    """The numbers that were read back: "yes, seven" repeats the hour, "yes, five" corrects."""
    known: set[int] = set()
    for name, value in asked.filled.items():
        match asked.form.slots[name].type:
            case "number":
                known.add(int(value))
            case "date":
                known.add(date.fromisoformat(str(value)).day)
            case "time":
                at = time.fromisoformat(str(value))
                known |= {at.hour, at.hour - 12, at.minute}
            case _:
                pass
    return known
