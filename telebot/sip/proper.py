"""What RFC 3261 wants checked before a request is looked at: whether it is one, and whether we can
do what it insists on.

Pure: header lines in (`raw.py`), an answer's status out. Next: `transport.py`, which answers, or
hands the request to its transaction.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from telebot.sip import raw, words

# of which a message has one at most, RFC 3261 section 7.3.1
SINGLE = frozenset(
    (b"from", b"to", b"call-id", b"cseq", b"max-forwards", b"content-length", b"content-type")
)
CSEQ = re.compile(rb"(\d{1,10})[ \t]+([^\s]+)")
LARGEST_CSEQ = 1 << 31  # section 8.1.1.5
OUR_BODY = b"application/sdp"
SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
OUR_SCHEMES = (b"sip", b"sips", b"tel")


@dataclass(frozen=True, slots=True)
class Refusal:
    """The answer to a request that goes no further."""

    status: int
    extra: tuple[tuple[str, str], ...] = ()


def refusal(data: bytes) -> Refusal | None:
    """Why a request is not taken: 400 (section 8.2.1 and 16.3), 505 (21.5.7), 416 (8.2.2.1), 420
    (8.2.2.3), 415 (8.2.3), 406 (21.4.7); None for one that is to be looked at."""
    start = data.split(b"\n", 1)[0].split()
    if len(start) != 3:
        return Refusal(400)
    method, uri, version = start
    if version.upper() != b"SIP/2.0":
        return Refusal(505)
    lines = raw.headers(data)
    found = dict(reversed(lines))  # the first of each
    if _unreadable(method, lines, found):
        return Refusal(400)
    if method in (b"ACK", b"CANCEL"):  # which have no extension and no body (section 8.2.2.3)
        return None
    scheme = SCHEME.match(uri)
    if scheme and scheme[1].lower() not in OUR_SCHEMES:
        return Refusal(416)
    return _unable(method, lines, found)


def _unreadable(
    method: bytes, lines: Iterable[tuple[bytes, bytes]], found: Mapping[bytes, bytes]
) -> bool:
    """The message contradicts itself."""
    single = [name for name, _ in lines if name in SINGLE]
    if len(single) != len(set(single)):
        return True
    cseq = CSEQ.fullmatch(found.get(b"cseq", b""))
    if cseq is None or int(cseq[1]) >= LARGEST_CSEQ or cseq[2] != method:
        return True
    length = found.get(b"content-length", b"0")
    if not length.isdigit():
        return True
    return any(found.get(name, b"").count(b'"') % 2 for name in (b"from", b"to"))


def _unable(
    method: bytes, lines: Iterable[tuple[bytes, bytes]], found: Mapping[bytes, bytes]
) -> Refusal | None:
    """It insists on what we do not do."""
    unknown = [option for option in _listed(lines, b"require") if option not in words.EXTENSIONS]
    if unknown:
        return Refusal(420, (("Unsupported", ", ".join(unknown)),))
    kind = found.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if method in (b"INVITE", b"UPDATE") and kind not in (b"", OUR_BODY):
        return Refusal(415, (("Accept", OUR_BODY.decode()),))
    taken = [one.partition(";")[0].strip().lower() for one in _listed(lines, b"accept")]
    if method == b"INVITE" and taken and not {"application/sdp", "application/*", "*/*"} & {*taken}:
        return Refusal(406)
    return None


def _listed(lines: Iterable[tuple[bytes, bytes]], name: bytes) -> list[str]:
    """The comma-separated values of all headers of that name."""
    values = [value for known, value in lines if known == name]
    return [
        one.strip().decode("latin-1")
        for value in values
        for one in value.split(b",")
        if one.strip()
    ]
