"""What stands in a text by its marks rather than its words: addresses, sums of money, per cents,
numbers with separators, ISO dates. Found in the text as it was written.

Addresses of mail by the common part of RFC 5321; ISO 8601 dates; currencies by ISO 4217.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

from telebot.dialog.slots.found import Found

SIGNS = {"£": "GBP", "€": "EUR", "₹": "INR", "₩": "KRW", "₺": "TRY", "₽": "RUB", "₴": "UAH"}
# signs of more than one currency: which one is meant is not said
SHARED_SIGNS = "$¥"
CODES = (
    "AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF INR JPY KRW MXN NOK NZD PLN SEK SGD TRY USD ZAR"
)
# in words; a dollar, a crown, a franc may be of several lands
NAMES = {"euro": "EUR", "pound": "GBP", "quid": "GBP", "rupee": "INR", "yen": "JPY"}
SHARED_NAMES = ("dollar", "franc", "peso", "buck")
SMALL = ("cent", "penny", "pence", "p")

NOTHING = ""

_NUMBER = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?"
_ANY_SIGN = f"[{''.join(SIGNS)}{SHARED_SIGNS}]"
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,24}(?!\w)")
_URL = re.compile(r"\bhttps?://[^\s<>\"']{1,2000}|\bwww\.[^\s<>\"']{1,2000}")
_BEFORE = re.compile(rf"(?:\b(US|CA|AU|NZ|HK))?({_ANY_SIGN})\s?({_NUMBER})(?![\d,.]*\d)")
_AFTER = re.compile(rf"(?<![\w.,])({_NUMBER})\s?(?:({_ANY_SIGN})|({CODES.replace(' ', '|')})\b)")
_CODE_FIRST = re.compile(rf"\b({CODES.replace(' ', '|')})\s?({_NUMBER})(?![\d,.]*\d)")
_PERCENT = re.compile(rf"(?<![\w.,])({_NUMBER})\s?(?:%|per ?cent\b)")
_ISO = re.compile(r"(?<![\w-])(\d{4})-(\d{2})-(\d{2})(?![\w-])")
_PARTED = re.compile(r"(?<![\w.,:])(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d{1,9})(?![\w,]|[.:]\d)")
# folded text: "12 euros 50", "5 pounds and 20 pence"
_WORDS = re.compile(
    rf"(?<![\w#])(\d+(?:\.\d+)?) ({'|'.join((*NAMES, *SHARED_NAMES))})s?"
    rf"(?: (?:and )?(\d{{1,2}})(?: (?:{'|'.join(SMALL)})s?)?)?(?![\w#])"
)


def find_addresses(text: str) -> Iterator[tuple[str, Found]]:
    """``email`` and ``url``."""
    for match in _EMAIL.finditer(text):
        yield "email", Found(match.group(), match.start(), match.end())
    for match in _URL.finditer(text):
        whole = match.group().rstrip(".,;:!?)")
        yield "url", Found(whole, match.start(), match.start() + len(whole))


def find_written(text: str) -> Iterator[tuple[str, Found, dict[str, Any]]]:
    """``money``, ``percent``, ``date`` and ``number``, with what else is known of them; `NOTHING`
    is what no other finder shall read."""
    for match in _BEFORE.finditer(text):
        land, sign, amount = match.groups()
        code = f"{land}D" if land and sign == "$" else SIGNS.get(sign)
        yield "money", _found(amount, match), {"currency": code}
    for match in _CODE_FIRST.finditer(text):
        yield "money", _found(match[2], match), {"currency": match[1]}
    for match in _AFTER.finditer(text):
        yield "money", _found(match[1], match), {"currency": match[3] or SIGNS.get(match[2])}
    for match in _PERCENT.finditer(text):
        yield "percent", _found(match[1], match), {}
    for match in _ISO.finditer(text):
        try:
            day = date(*(int(part) for part in match.groups()))
        except ValueError:  # there is no such day; nor are its digits numbers
            yield NOTHING, Found(match.group(), match.start(), match.end()), {}
            continue
        yield "date", Found(day.isoformat(), match.start(), match.end()), {}
    for match in _PARTED.finditer(text):
        yield "number", _found(match[1], match), {}


def find_money_in_words(text: str) -> Iterator[tuple[Found, dict[str, Any]]]:
    """Sums in folded text."""
    for match in _WORDS.finditer(text):
        whole, name, small = match.groups()
        amount = Decimal(whole)
        if small is not None:
            if amount != amount.to_integral_value():
                continue
            amount = (amount + Decimal(small) / 100).quantize(Decimal("0.01"))
        found = Found(plain(amount), match.start(), match.end())
        yield found, {"currency": NAMES.get(name)}


def plain(amount: Decimal) -> str:
    """As digits with a point, no more of them than were said."""
    return f"{amount:f}"


def _found(amount: str, match: re.Match[str]) -> Found:
    return Found(plain(Decimal(amount.replace(",", ""))), match.start(), match.end())
