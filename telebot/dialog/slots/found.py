"""What a finder found, and the text that finders share."""

from __future__ import annotations

import re
from dataclasses import dataclass

from telebot.dialog.actions import FieldValue


@dataclass(frozen=True, slots=True)
class Found:
    """A value and its characters [start, end) in the utterance's text.

    `sure` is False for a bare value ("five") whose meaning depends on what was asked. `said` tells
    how a date was put: "weekday", "relative" or "explicit".
    """

    value: FieldValue
    start: int
    end: int
    sure: bool = True
    said: str = ""


def blank(text: str, found: list[Found]) -> str:
    """`text` with everything found replaced by "#" so that no other finder reads it again."""
    for item in found:
        text = text[: item.start] + "#" * (item.end - item.start) + text[item.end :]
    return text


_NEGATED = re.compile(r"\b(?:not|instead of|rather than|from)(?: (?:on|at|for|the))*$")


def chosen(candidates: list[Found], text: str, correction: re.Pattern[str]) -> Found | None:
    """Of several values of one type the one that is meant.

    "not four, five" and "change it from Friday to Saturday" mean the last; without a correcting
    word the first stands. A sure value beats a bare one.
    """
    surest = [item for item in candidates if item.sure] or candidates
    ordered = sorted(surest, key=lambda item: item.start)
    kept = [i for i in ordered if not _NEGATED.search(text[: i.start].rstrip())]
    if not kept:
        return None
    first, last = kept[0], kept[-1]
    if correction.search(text[first.end : last.start]):
        return last
    return first
