"""How many: "four", "a party of six", "four adults and two children", "just me"."""

import re

from telebot.dialog.slots.found import Found

_PEOPLE = (
    r"(?:people|persons?|peoples|guests?|of us|adults?|pax|diners|seats?|places|covers|folks|heads)"
)
_N = r"(\d{1,4})"
_CHILD = r"(?:children|child|kids?|babies|baby|toddlers?)"
# Each adds what it counts and a number of its own.
_SUMS = (
    (
        re.compile(
            rf"\b{_N} (?:(?:adults?|grown ups?|people|of us) )?(?:and|plus|with) {_N} {_CHILD}\b"
        ),
        0,
    ),
    (re.compile(rf"\b{_N} (?:(?:adults?|people|of us) )?(?:and|plus|with) a {_CHILD}\b"), 1),
    (re.compile(rf"\b(?:me|myself|i) (?:and|plus|with) (?:my )?{_N}\b(?: [a-z]+)?"), 1),
    (re.compile(rf"\bi .{{0,20}}come with (?:my )?{_N} (?:friends|others|colleagues|guests)\b"), 1),
)
# "Two of us are vegetarian", "two more people" are not how many come.
_SOME = (
    r"(?! (?:more|extra|less|fewer)\b| (?:of us|people|persons?|guests?) (?:less|fewer|more|extra|"
    r"is|are(?! coming)|has|have|needs?|can|do not|does not|will come)\b)"
)
_SURE = (
    re.compile(rf"\b{_N}{_SOME} {_PEOPLE}\b"),
    re.compile(rf"\bwe (?:are|will be) (?:only |just |now )?{_N}\b(?! \d)"),
    re.compile(rf"\b(?:party|group|table|reservation|booking|room) (?:of|for) {_N}\b(?! \d)"),
    re.compile(rf"\bthere (?:will be|are|is|would be) {_N}\b(?! \d)"),
    re.compile(rf"\btable {_N}\b(?! (?:\d|past|to|o'clock|am|pm))"),
)
_WORDS = (
    (re.compile(r"\bhalf a dozen\b"), 6),
    (re.compile(r"\ba dozen\b"), 12),
    (re.compile(r"\b(?:a couple|the pair|a pair|both of us)\b"), 2),
    # One other person; how many "my friends and I" are is not said.
    (
        re.compile(
            r"\b(?:me|myself|i) and my (?!name)[a-z]+(?<!s)\b"
            r"|\bmy (?!name)[a-z]+(?<!s) and (?:me|i|myself)\b"
        ),
        2,
    ),
    (
        re.compile(
            r"\b(?:just (?:for )?me|just myself|only me|by myself|on my own|for myself|"
            r"(?:a|one) single person)\b|^myself$"
        ),
        1,
    ),
)
_WEAK = (
    re.compile(rf"\b(?:for|be|make (?:it|that)) {_N}\b{_SOME}"),
    re.compile(rf"(?<![\w#:]){_N}(?![\w:])(?! (?:past|to \d|o'clock|am|pm)){_SOME}"),
)


def find_numbers(text: str) -> list[Found]:
    """Numbers in folded text, the sure ones first; a bare number is not `sure`."""
    found: list[Found] = []
    for pattern, others in _SUMS:
        for match in pattern.finditer(text):
            value = sum(int(group) for group in match.groups()) + others
            found.append(Found(value, match.start(), match.end()))
    for pattern in _SURE:
        found += [Found(int(m[1]), m.start(), m.end()) for m in pattern.finditer(text)]
    for pattern, value in _WORDS:
        found += [Found(value, m.start(), m.end()) for m in pattern.finditer(text)]
    for pattern in _WEAK:
        found += [Found(int(m[1]), m.start(), m.end(), sure=False) for m in pattern.finditer(text)]
    return _without_overlaps(found)


def _without_overlaps(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for item in found:
        if all(item.end <= other.start or item.start >= other.end for other in kept):
            kept.append(item)
    return kept
