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
_AMENDING = re.compile(
    r"(?:(?: |\b(?:and|at|on|for|the)\b)*\b(?:no|not|wait|sorry|actually|i mean|i meant|i said|"
    r"rather|make (?:it|that)|let us say|correction|or|maybe|perhaps|possibly|even)\b)+"
    r"(?: |\b(?:at|on|for|the)\b)*"
)
_ALTERNATIVE = re.compile(r"\b(?:or|maybe|perhaps|possibly)\b(?! rather)")
_BETWEEN = re.compile(r"\bbetween(?: the)?$")


def amends(item: Found, before: Found, text: str) -> bool:
    """Whether `item` says the value `before` anew: "at eight, actually nine", "four or five"."""
    between = text[before.end : item.start]
    return before.end < item.start and bool(_AMENDING.fullmatch(between))


def chosen(candidates: list[Found], text: str, correction: re.Pattern[str]) -> Found | None:
    """Of several values of one type the one that is meant.

    "not four, five" and "change it from Friday to Saturday" mean the last; without a correcting
    word the first stands. A sure value beats a bare one. "Friday or Saturday" means neither yet.
    """
    ordered = sorted(candidates, key=lambda item: item.start)
    surest = [item for item in ordered if item.sure] or ordered
    surest = [
        item
        for item in ordered
        if item in surest or any(amends(item, s, text) or amends(s, item, text) for s in surest)
    ]
    kept = [i for i in surest if not _NEGATED.search(text[: i.start].rstrip())]
    if not kept or _undecided(kept, text):
        return None
    first, last = kept[0], kept[-1]
    if correction.search(text[first.end : last.start]):
        return last
    return first


def _undecided(kept: list[Found], text: str) -> bool:
    """Whether several values are left open by the last words about them."""
    if len(kept) < 2:
        return False
    before, last = kept[-2:]
    if before.value == last.value:
        return False
    if _BETWEEN.search(text[: before.start].rstrip()):
        return True
    return bool(_ALTERNATIVE.search(text[before.end : last.start])) and amends(last, before, text)
