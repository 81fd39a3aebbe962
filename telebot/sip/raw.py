"""Answers to requests that nobody parsed: copied from their own header lines.

For what cannot be parsed (400) and for floods that are not worth parsing (503). Pure: bytes in,
bytes out. What is copied is cut to what RFC 3261 section 8.2.6.2 names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

COPIED = (b"via", b"from", b"to", b"call-id", b"cseq")
COMPACT = {b"v": b"via", b"f": b"from", b"t": b"to", b"i": b"call-id"}
MOST_BYTES = 8192
FOLDED = re.compile(rb"\r?\n[ \t]+")
END = re.compile(rb"\r\n\r\n|\n\n|\r\r")
LINES = re.compile(rb"\r\n|\n|\r")
TAG = re.compile(rb";\s*tag\s*=", re.IGNORECASE)


def is_request(data: bytes) -> bool:
    """True for what may be answered: neither a response nor an ACK, which have no answer."""
    return not data.startswith((b"SIP/", b"ACK ")) and b" SIP/" in data[:2048].split(b"\n", 1)[0]


def in_dialog(data: bytes) -> bool:
    """True where the To header has a tag: the request belongs to a call that is up."""
    return any(TAG.search(value) for name, value in headers(data) if name == b"to")


def headers(data: bytes) -> list[tuple[bytes, bytes]]:
    """The header lines, unfolded: lower-case long names and their values."""
    found = []
    for line in _head(data)[1:]:
        name, colon, value = line.partition(b":")
        if colon:
            name = name.strip().lower()
            found.append((COMPACT.get(name, name), value.strip()))
    return found


def reply(
    data: bytes, status: int, reason: str, extra: Iterable[tuple[str, str]] = ()
) -> bytes | None:
    """The answer to a raw request, to be sent to where it came from; None where there is none.

    The To tag is the same for each retransmission, as RFC 3261 section 8.2.7 wants it."""
    if not is_request(data):
        return None
    found = [(name, value) for name, value in headers(data) if name in COPIED]
    vias = [value for name, value in found if name == b"via"]
    if not vias:
        return None
    lines = [f"SIP/2.0 {status} {reason}".encode("latin-1")]
    lines += [b"Via: " + via for via in vias]
    for name in COPIED[1:]:
        value = next((value for known, value in found if known == name), None)
        if value is None:
            continue
        if name == b"to" and not TAG.search(value):
            value += b";tag=" + blake2b(data, digest_size=8).hexdigest().encode()
        lines.append(name.title().replace(b"Call-Id", b"Call-ID").replace(b"Cseq", b"CSeq"))
        lines[-1] += b": " + value
    lines += [f"{name}: {value}".encode("latin-1") for name, value in extra]
    return b"\r\n".join([*lines, b"Content-Length: 0", b"", b""])


def body(data: bytes) -> bytes:
    """What stands behind the headers."""
    parts = END.split(data, maxsplit=1)
    return parts[1] if len(parts) > 1 else b""


def _head(data: bytes) -> list[bytes]:
    head = END.split(data[:MOST_BYTES], maxsplit=1)[0]
    return LINES.split(FOLDED.sub(b" ", head))
