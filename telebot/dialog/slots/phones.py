"""Telephone numbers, spoken or keyed: "oh two oh seven, double four …"."""

import re

from telebot.dialog.slots.found import Found

_DIGIT = r"(?:\+?\d+|oh|o|zero|nought|naught|plus)"
_MORE = rf"(?: (?:{_DIGIT}|double|triple|treble|and)(?!\w))*"
_RUN = re.compile(rf"(?<!\w)(?:(?:double|triple|treble) )?{_DIGIT}(?!\w){_MORE}")
_ZERO = frozenset(("oh", "o", "zero", "nought", "naught"))
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_SAME_NUMBER = re.compile(
    r"\b(?:this (?:number|phone|one)|the (?:number|phone) i am (?:calling|phoning|ringing)"
    r"(?: you)? (?:from|on)|the same number|number i am on|calling from)\b"
)
MIN_DIGITS = 6
MAX_DIGITS = 15
_FRAGMENT_DIGITS = 3


def find_phones(text: str, caller_number: str | None, *, bare: bool) -> list[Found]:
    """Digit strings with an optional "+". `bare` also takes one too short to be a whole number.

    "This number" means the caller's own, when it is known.
    """
    found = []
    for match in _RUN.finditer(text):
        digits = _digits(match.group())
        enough = MIN_DIGITS <= len(digits.lstrip("+")) <= MAX_DIGITS
        if enough or (bare and len(digits) >= _FRAGMENT_DIGITS):
            found.append(Found(digits, match.start(), match.end(), sure=enough))
    same = _SAME_NUMBER.search(text)
    if not found and same and caller_number:
        found.append(Found(caller_number, same.start(), same.end()))
    return found


def _digits(run: str) -> str:
    digits, times = "", 1
    for word in run.split():
        if word in _TIMES:
            times = _TIMES[word]
            continue
        if word == "plus":
            digits += "+" if not digits else ""
        elif word != "and":
            digit = "0" if word in _ZERO else word
            digits += digit[0] * (times - 1) + digit
        times = 1
    head = "+" if digits.startswith("+") else ""
    return head + digits.replace("+", "")
