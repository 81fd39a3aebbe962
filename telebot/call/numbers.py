"""Numbers that the server itself has rung up: how they are written, and which are allowed.

Against toll fraud nothing may be dialled but what the operator has allowed. Asked by
`carriers/dialling.py` for calls that we make and by `speech/closing.py` for transfers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LONGEST = 256
_SEPARATORS = re.compile(r"[\s().\-/]+")
# E.164 has at most 15 digits; an extension or a short code of a PBX has no plus
_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}|[0-9*#]{1,20}")
_SCHEMES = ("sip:", "sips:")
_URI = re.compile(r"(?i)sips?:[A-Za-z0-9_.!~*'()&=+$,;?/%:\-]{1,200}@[A-Za-z0-9.\-\[\]:]{1,200}")


def normalised(number: str) -> str:
    """`number` as carriers want it: ``+442079460018``, ``201``, ``sip:someone@example.com``.
    Raises ValueError, which says what to write."""
    text = number.strip()
    if text.lower().startswith(_SCHEMES):
        if len(text) <= LONGEST and _URI.fullmatch(text):
            return text
    else:
        text = _SEPARATORS.sub("", text)
        if _NUMBER.fullmatch(text):
            return text
    raise ValueError("write a number like +442079460018, or sip:someone@example.com")


def allowed(number: str, prefixes: Iterable[str], denied: Iterable[str] = ()) -> bool:
    """Whether a `normalised` number begins with one of `prefixes` and none of `denied`. A SIP
    address has to be one of them as a whole: what follows a beginning would be another house."""
    return _one_of(number, prefixes) and not _one_of(number, denied)


def _one_of(number: str, prefixes: Iterable[str]) -> bool:
    if number.lower().startswith(_SCHEMES):
        return any(number.lower() == prefix.lower() for prefix in prefixes)
    return any(number.startswith(prefix) for prefix in prefixes)
