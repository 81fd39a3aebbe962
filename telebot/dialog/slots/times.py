"""Times of day: "half past seven", "half seven", "quarter to eight", "7pm", "nineteen thirty".

An hour without morning or evening is ambiguous; the opening hours decide (see `settle`).
"""

import re
from collections.abc import Callable
from datetime import time

from telebot.dialog.slots.found import Found, blank

_H = r"(\d{1,2})"
_PART = (
    r"(?: (am|pm)\b| (?:in )?(?:the )?(morning|afternoon|evening)\b"
    r"| (?:at )?(night)\b| (tonight)\b)?"
)
_NOT_PEOPLE = r"(?! (?:people|persons?|guests?|of us|adults?|days?|weeks?|hours?|minutes?|of))"
# Each pattern names hour and minute; "to" counts back from the hour.
_PATTERNS = tuple(
    re.compile(pattern + _PART)
    for pattern in (
        rf"\bhalf (?:past )?(?P<h>{_H})\b",
        rf"\b(?:a )?(?P<q>quarter) (?P<dir>past|after|to|till|before|of) (?P<h>{_H})\b",
        rf"\b(?P<m>\d{{1,2}})(?: minutes?)? (?P<dir>past|to|till) (?P<h>{_H})\b",
        r"\b(?P<h>\d{1,2})[:.](?P<m>\d\d)\b",
        r"\b(?P<h>\d{1,2}) (?:o'clock|clock)(?P<plain>)\b",
        r"\b(?P<h>\d{1,2})(?P<plain>)(?= (?:am|pm)\b| (?:in the )(?:morning|afternoon|evening)"
        r"\b| at night\b)",
        r"\b(?P<h>\d{1,2}) (?P<m>[1-5][05])\b" + _NOT_PEOPLE,
        r"\b(?P<h>\d{1,2}) (?:0|oh|o) (?P<m>\d)\b",
        r"\b(?P<packed>[01]?\d[0-5]\d|2[0-3][0-5]\d)(?= (?:am|pm|hours|tonight)\b)",
        r"\b(?:at|around|about|by|from|say) (?P<packed>[01]?\d[0-5][05]|2[0-3][0-5][05])\b"
        + _NOT_PEOPLE,
        r"\b(?:at|around|about|by|after|say) (?P<h>\d{1,2})(?P<plain>)\b(?!th|st|rd|nd)"
        + _NOT_PEOPLE,
        r"\b(?P<noon>noon|midday|mid day|twelve noon)\b",
        r"\b(?P<midnight>midnight)\b",
    )
)
_BARE = (
    re.compile(r"(?<![\w#])(?P<packed>\d{3,4})(?![\w#])"),
    re.compile(r"(?<![\w#])(?<!before )(?P<h>\d{1,2})(?P<plain>)(?![\w#])" + _NOT_PEOPLE),
)
_EVENING = re.compile(r"\b(?:tonight|evening|dinner|supper|afternoon|pm)\b")
_MORNING = re.compile(r"\b(?:morning|breakfast|am)\b")


def find_times(text: str, fits: Callable[[time], bool], *, bare: bool) -> list[Found]:
    """Times as "HH:MM" in folded text. `fits` tells whether a reading lies in opening hours.

    `bare` also takes lone numbers, because a time was asked for.
    """
    found: list[Found] = []
    for pattern in _PATTERNS + (_BARE if bare else ()):
        seen = blank(text, found)
        for match in pattern.finditer(seen):
            read = _read(match)
            if read is not None:
                settled = settle(*read, _part_of_day(match, text), fits)
                sure = pattern not in _BARE
                found.append(Found(f"{settled:%H:%M}", match.start(), match.end(), sure))
    return found


def _read(match: re.Match[str]) -> tuple[int, int] | None:
    groups = match.groupdict()
    if groups.get("noon") or groups.get("midnight"):
        return (12 if groups.get("noon") else 0), 0
    if groups.get("packed"):
        packed = groups["packed"]
        hour, minute = int(packed[:-2]), int(packed[-2:])
    else:
        hour = int(groups["h"])
        minute = _minute(match, groups)
    if groups.get("dir") in ("to", "till", "before", "of"):
        hour, minute = (hour - 1) % 24 if hour != 1 else 12, 60 - minute
    return (hour, minute) if hour < 24 and 0 <= minute < 60 else None


def _minute(match: re.Match[str], groups: dict[str, str | None]) -> int:
    if groups.get("q"):
        return 15
    if groups.get("m") is not None:
        return int(groups["m"] or 0)
    return 30 if match.group().startswith("half") else 0


def _part_of_day(match: re.Match[str], text: str) -> str:
    said = match.group()
    if match.groupdict().get("noon") or match.groupdict().get("midnight"):
        return "exact"
    tail = said + text[match.end() : match.end() + 16]
    if re.search(r"\b(?:pm|evening|tonight|afternoon|night)\b", tail):
        return "pm"
    if re.search(r"\b(?:am|morning)\b", tail):
        return "am"
    if _EVENING.search(text):
        return "pm"
    return "am" if _MORNING.search(text) else ""


def settle(hour: int, minute: int, part: str, fits: Callable[[time], bool]) -> time:
    """One reading of a clock time: the named part of the day, else the one that `fits`.

    Without either, one to seven are taken as afternoon and evening.
    """
    if part == "exact" or hour > 12 or hour == 0:
        return time(hour, minute)
    early, late = time(hour % 12, minute), time(hour % 12 + 12, minute)
    if part:
        return early if part == "am" else late
    for reading in (late, early) if hour <= 7 or hour == 12 else (early, late):
        if fits(reading):
            return reading
    return late if hour <= 7 or hour == 12 else early
