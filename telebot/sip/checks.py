"""Whether a request is one at all, and what is wrong with it: from its raw bytes, before sippy.

Pure. sippy's parser is lenient where RFC 3261 is not, and raises where an answer is due; this says
what that answer is. Section numbers are RFC 3261's, messages in RFC 4475 (torture tests).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

from telebot.sip import raw, words

TOKEN = r"[A-Za-z0-9.!%*_+`'~-]+"
START = re.compile(rf"({TOKEN}) ([^\s<>]+) (SIP/[0-9]+\.[0-9]+)".encode(), re.IGNORECASE)
SCHEME = re.compile(rb"([A-Za-z][A-Za-z0-9+.-]*):")
CSEQ = re.compile(rb"([0-9]{1,10})\s+(\S+)")
NUMBER = re.compile(rb"[0-9]{1,10}")
QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
SCHEMES = (b"sip", b"sips", b"tel")
NEEDED = (b"via", b"from", b"to", b"call-id", b"cseq")
ONCE = (*NEEDED[1:], b"max-forwards", b"content-length", b"content-type", b"expires")
COMPACT = {b"m": b"contact", b"l": b"content-length", b"c": b"content-type"}
LONGEST_CALL_ID = 256
LARGEST_CSEQ = 2**31 - 1  # section 8.1.1.5
SHORT_BY = 8  # bytes that some devices leave out of a body; sippy mends those


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong, as an answer."""

    status: int
    extra: tuple[tuple[str, str], ...] = ()


def fault(data: bytes) -> Fault | None:
    """What is wrong with a request; None where nothing is."""
    start = data.split(b"\n", 1)[0].rstrip(b"\r")
    line = START.fullmatch(start)
    if line is None:
        return Fault(400)
    method, uri, version = line.groups()
    if version.upper() != b"SIP/2.0":
        return Fault(505)
    headers = [(COMPACT.get(name, name), value) for name, value in raw.headers(data)]
    return _headers(headers, method) or _addresses(headers) or _uri(uri) or _length(headers, data)


def _headers(headers: list[tuple[bytes, bytes]], method: bytes) -> Fault | None:
    counts = Counter(name for name, _ in headers)
    if any(not counts[name] for name in NEEDED) or any(counts[name] > 1 for name in ONCE):
        return Fault(400)
    values = dict(headers)
    cseq = CSEQ.fullmatch(values[b"cseq"])
    if cseq is None or int(cseq.group(1)) > LARGEST_CSEQ:
        return Fault(400)
    if cseq.group(2) != method:
        return Fault(400 if method.decode("latin-1") in words.KNOWN else 501, (words.ALLOW,))
    call_id = values[b"call-id"]
    if not call_id or len(call_id) > LONGEST_CALL_ID or b" " in call_id:
        return Fault(400)
    hops = values.get(b"max-forwards", b"70")
    return None if NUMBER.fullmatch(hops) and int(hops) < 256 else Fault(400)


def _addresses(headers: list[tuple[bytes, bytes]]) -> Fault | None:
    """Quotes and brackets that are not closed (section 25.1)."""
    for name, value in headers:
        if name in (b"from", b"to", b"contact"):
            bare = QUOTED.sub(b"", value)
            if b'"' in bare or bare.count(b"<") != bare.count(b">"):
                return Fault(400)
    return None


def _uri(uri: bytes) -> Fault | None:
    scheme = SCHEME.match(uri)
    if scheme is None:
        return Fault(400)
    return None if scheme.group(1).lower() in SCHEMES else Fault(416)  # section 8.2.2.1


def _length(headers: list[tuple[bytes, bytes]], data: bytes) -> Fault | None:
    told = dict(headers).get(b"content-length")
    if told is None:
        return None
    if not NUMBER.fullmatch(told):
        return Fault(400)
    body = raw.body(data)
    return Fault(400) if int(told) > len(body) + SHORT_BY else None
