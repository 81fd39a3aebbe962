"""Opening hours: a fact of the agent file, read once, asked by checks and answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, time

from telebot.dialog import speaking
from telebot.dialog.words import WEEKDAYS

Span = tuple[time, time]
_RANGE = re.compile(r"\s*(\d{1,2}):(\d\d)\s*(?:-|–|to)\s*(\d{1,2}):(\d\d)\s*", re.I)
HOURS_EXAMPLE = '"12:00-22:00", "12:00-15:00, 18:00-22:00" or closed'


def parse_spans(text: str) -> tuple[Span, ...]:
    """ "12:00-22:00" or "12:00-15:00, 18:00-22:00" or "closed". Raises ValueError otherwise."""
    if text.strip().lower() == "closed":
        return ()
    spans = []
    for part in text.split(","):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(part.strip())
        opens, closes = (time(int(match[i]), int(match[i + 1])) for i in (1, 3))
        if opens >= closes:
            raise ValueError(part.strip())
        spans.append((opens, closes))
    return tuple(spans)


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """`week[0]` is Monday; a day without spans is closed. `closed_dates` override the week."""

    week: tuple[tuple[Span, ...], ...]
    closed_dates: frozenset[date] = frozenset()

    @classmethod
    def of(cls, days: Mapping[str, str], closed_dates: frozenset[date]) -> OpeningHours:
        """From the file's `opening_hours`; a day that is not listed is closed."""
        return cls(tuple(parse_spans(days.get(day, "closed")) for day in WEEKDAYS), closed_dates)

    def on(self, day: date) -> tuple[Span, ...]:
        """The opening spans of one date."""
        return () if day in self.closed_dates else self.week[day.weekday()]

    def is_open(self, day: date, at: time, last_minutes: int = 0) -> bool:
        """Whether `at` lies in a span of `day`, at least `last_minutes` before its end."""
        return any(_within(span, at, last_minutes) for span in self.on(day))

    def ever_open(self, at: time) -> bool:
        """Whether any day of the week is open at this time."""
        return any(_within(span, at, 0) for spans in self.week for span in spans)

    def spoken_on(self, day: date) -> str:
        """ "from noon until ten at night"."""
        return _spoken(self.on(day))

    def spoken(self) -> str:
        """ "Tuesday to Sunday, from noon until ten at night" """
        groups: list[tuple[list[int], tuple[Span, ...]]] = []
        for index, spans in enumerate(self.week):
            same = next((group for group in groups if group[1] == spans), None)
            if same:
                same[0].append(index)
            elif spans:
                groups.append(([index], spans))
        return speaking.listing([f"{_days(d)}, {_spoken(s)}" for d, s in groups] or ["never"])


def _within(span: Span, at: time, last_minutes: int) -> bool:
    opens, closes = (t.hour * 60 + t.minute for t in span)
    minute = at.hour * 60 + at.minute
    return opens <= minute < closes and minute <= closes - last_minutes


def _spoken(spans: tuple[Span, ...]) -> str:
    said = [
        f"from {speaking.clock_of_opening(opens)} until {speaking.clock_of_opening(closes)}"
        for opens, closes in spans
    ]
    return speaking.listing(said) if said else "closed"


def _days(indexes: list[int]) -> str:
    names = [WEEKDAYS[index].title() for index in indexes]
    if len(indexes) == 7:
        return "every day"
    if len(indexes) > 2 and indexes[-1] - indexes[0] == len(indexes) - 1:
        return f"{names[0]} to {names[-1]}"
    return speaking.listing(names)
