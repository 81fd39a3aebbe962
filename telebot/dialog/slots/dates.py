"""Dates: weekdays, "tomorrow", "this" and "next" Friday, "the twenty first", "Christmas Eve".

A weekday that is today means the one a week away ("today" says today); "next Friday" is the
Friday of the next calendar week. Everything is read back with its full date. A date that there is
not ("the thirty-first of November", "Monday the third" on a Tuesday) is no date, not half of one.
"""

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from telebot.dialog.slots.found import Found
from telebot.dialog.words import MONTHS, WEEKDAYS

_DAY = rf"(?P<day>{'|'.join(WEEKDAYS)})(?:'?s)?"
_MONTH = rf"(?P<month>{'|'.join(MONTHS)})"
_NTH = r"(?P<nth>\d{1,2})(?:st|nd|rd|th)"
_WEEKS = r"(?:(?P<count>\d{1,2}|a) weeks?(?:'s)?(?: time)?|a fortnight(?:'s time)?)"
_PAST_DAYS = 90
_HOLIDAYS = {
    "christmas eve": (12, 24),
    "christmas day": (12, 25),
    "boxing day": (12, 26),
    "new year's eve": (12, 31),
    "new years eve": (12, 31),
    "new year's day": (1, 1),
    "new years day": (1, 1),
    "valentine's day": (2, 14),
    "valentines day": (2, 14),
}
_RELATIVE = (
    (r"\b(?:the )?day after tomorrow\b", 2),
    (r"\btomorrow\b", 1),
    (r"\b(?:the )?day before yesterday\b", -2),
    (r"\b(?:yesterday|last night)\b", -1),
    (
        r"\b(?:today|tonight|this (?:evening|afternoon|morning|lunchtime|lunch))\b",
        0,
    ),
    (r"\b(?:in )?a fortnight\b", 14),
)
Rule = tuple[re.Pattern[str], Callable[[re.Match[str], date], date | None], str]


def find_dates(text: str, today: date, *, bare: bool, now: bool = False) -> list[Found]:
    """Dates as "YYYY-MM-DD" in folded text.

    `bare` also takes a lone "21st", or 21; `now` takes "now" for today, which a form must not.
    """
    found: list[Found] = []
    taken: list[tuple[int, int]] = []
    rules = _RULES + (_BARE_RULES if bare else ()) + (_NOW_RULES if now else ())
    for pattern, resolve, said in rules:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            taken.append(match.span())
            value = resolve(match, today)
            if value is not None:
                found.append(Found(value.isoformat(), match.start(), match.end(), said=said))
    return found


def next_weekday(index: int, today: date, *, today_counts: bool = False) -> date:
    """The coming weekday (0 is Monday)."""
    ahead = (index - today.weekday()) % 7
    return today + timedelta(days=ahead or (0 if today_counts else 7))


def _weekday(match: re.Match[str], today: date) -> date:
    groups = match.groupdict()
    index = WEEKDAYS.index(groups["day"])
    which, after = groups.get("which") or "", groups.get("after") or ""
    coming = next_weekday(index, today, today_counts=which == "this")
    if which == "last":
        return coming - timedelta(days=7 if coming != today else 0)
    if which.startswith("next") or after.endswith("next week"):
        return today + timedelta(days=7 - today.weekday() + index)
    return coming + timedelta(days=7 if after else 0)


def _weekday_in_weeks(match: re.Match[str], today: date) -> date:
    """ "A week on Friday", "Saturday in two weeks": so many weeks after the coming one."""
    coming = next_weekday(WEEKDAYS.index(match["day"]), today)
    return coming + timedelta(weeks=_weeks(match))


def _weekday_of_month(match: re.Match[str], today: date) -> date | None:
    """ "The first Saturday in December"."""
    first = _in_year(MONTHS.index(match["month"]) + 1, 1, today)
    if first is None:
        return None
    ahead = (WEEKDAYS.index(match["day"]) - first.weekday()) % 7
    value = first + timedelta(days=ahead, weeks=int(match["nth"]) - 1)
    return value if value.month == first.month else None


def _day_and_month(match: re.Match[str], today: date) -> date | None:
    groups = match.groupdict()
    month = MONTHS.index(groups["month"]) + 1
    value = _in_year(month, int(groups.get("nth") or groups["plain"]), today)
    return value if value and _is_weekday(value, groups.get("day")) else None


def _is_weekday(value: date, named: str | None) -> bool:
    """Whether the weekday said with a date, if any, is that of the date."""
    return named is None or WEEKDAYS.index(named) == value.weekday()


def _in_year(month: int, day: int, today: date) -> date | None:
    """This year's date; next year's once it lies more than three months back."""
    for year in (today.year, today.year + 1, today.year + 2):
        value = _date(year, month, day)
        if value is not None and value >= today - timedelta(days=_PAST_DAYS):
            return value
    return None


def _day_of_month(match: re.Match[str], today: date) -> date | None:
    groups = match.groupdict()
    day = int(groups.get("nth") or groups["plain"])
    months = (today.year * 12 + today.month - 1 + ahead for ahead in range(3))
    days: Iterator[date | None] = (_date(m // 12, m % 12 + 1, day) for m in months)
    return next((value for value in days if value is not None and value >= today
                 and _is_weekday(value, groups.get("day"))), None)  # fmt: skip


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _shift(days: int) -> Callable[[re.Match[str], date], date | None]:
    return lambda _match, today: today + timedelta(days=days)


def _holiday(match: re.Match[str], today: date) -> date | None:
    month, day = _HOLIDAYS[match.group()]
    return _in_year(month, day, today)


def _in_days(match: re.Match[str], today: date) -> date:
    return today + timedelta(days=int(match["count"]))


def _in_weeks(match: re.Match[str], today: date) -> date:
    return today + timedelta(weeks=_weeks(match), days=match[0].endswith("tomorrow"))


def _weeks(match: re.Match[str]) -> int:
    count = match["count"]
    return 2 if count is None else 1 if count == "a" else int(count)


_RULES: tuple[Rule, ...] = (
    (re.compile(rf"\b(?:the )?{_NTH} {_DAY} (?:in|of) {_MONTH}\b"), _weekday_of_month, "explicit"),
    (re.compile(rf"\b(?:{_DAY} )?(?:the )?{_NTH} (?:of )?{_MONTH}\b"), _day_and_month, "explicit"),
    (re.compile(rf"\b(?:{_DAY} )?{_MONTH} (?:the )?(?:{_NTH}\b|(?P<plain>\d{{1,2}})\b)"),
     _day_and_month, "explicit"),
    (re.compile(rf"\b(?:{_DAY} )?(?P<plain>\d{{1,2}}) (?:of )?{_MONTH}\b"), _day_and_month,
     "explicit"),
    (re.compile(rf"\b{_DAY} (?:the )?{_NTH}"), _day_of_month, "explicit"),
    (re.compile(rf"\bthe {_NTH}(?! one| time| thing| floor)\b"), _day_of_month, "explicit"),
    (re.compile(rf"\b(?:in )?{_WEEKS} (?:on |from |next |this )?{_DAY}"), _weekday_in_weeks,
     "relative"),
    (re.compile(rf"\b{_DAY} in {_WEEKS}\b"), _weekday_in_weeks, "relative"),
    (re.compile(rf"\b(?:(?P<which>this|next|last|next week(?: on)?|coming) )?{_DAY}"
                r"(?: (?P<after>(?:of |in )?next week|week|after next))?\b"), _weekday, "weekday"),
    (re.compile(rf"\b{_WEEKS} (?:from )?(?:today|now|tomorrow)\b"), _in_weeks, "relative"),
    (re.compile(rf"\bin {_WEEKS}(?! time)\b"), _in_weeks, "relative"),
    *((re.compile(pattern), _shift(days), "relative") for pattern, days in _RELATIVE),
    (re.compile(r"\bin (?P<count>\d{1,2}) days?\b"), _in_days, "relative"),
    (re.compile(r"\b(?P<count>\d{1,2}) days? from (?:today|now)\b"), _in_days, "relative"),
    (re.compile(rf"\b(?:{'|'.join(_HOLIDAYS)})\b"), _holiday, "explicit"),
)  # fmt: skip
_BARE_RULES: tuple[Rule, ...] = (
    (re.compile(rf"\b{_NTH}\b"), _day_of_month, "explicit"),
    (
        re.compile(r"^(?:the |on )*(?P<plain>\d{1,2})(?: please)?$"),
        _day_of_month,
        "explicit",
    ),
)
_NOW_RULES: tuple[Rule, ...] = (
    (re.compile(r"\b(?:right now|now|at the moment|currently)\b"), _shift(0), "relative"),
)
