"""The session description in a message's body: alone, or one part of several (RFC 5621). Pure."""

from __future__ import annotations

import re

SDP = "application/sdp"
MOST_PARTS = 16
BOUNDARY = re.compile(r'boundary\s*=\s*(?:"([^"]{1,70})"|([^\s;"]{1,70}))', re.IGNORECASE)


class Unsupported(ValueError):
    """A body without a session description (answer 415)."""


def kind(content_type: str) -> str:
    """The type without its parameters, in small letters."""
    return content_type.partition(";")[0].strip().lower()


def session_description(content_type: str, body: bytes) -> bytes | None:
    """The SDP of a body; None where there is no body. Raises `Unsupported`."""
    if not body:
        return None
    what = kind(content_type) or SDP
    if what == SDP:
        return body
    if not what.startswith("multipart/"):
        raise Unsupported(what)
    found = BOUNDARY.search(content_type)
    if found is None:
        raise Unsupported("multipart without a boundary")
    boundary = b"--" + (found.group(1) or found.group(2)).encode("latin-1", "replace")
    for part in body.split(boundary)[1 : MOST_PARTS + 1]:
        head, _, inner = part.replace(b"\r\n", b"\n").lstrip(b"\n").partition(b"\n\n")
        named = re.search(rb"^(?:content-type|c)[ \t]*:[ \t]*([^\n]*)", head, re.I | re.M)
        if named and kind(named.group(1).decode("latin-1")) == SDP:
            return inner.strip(b"\n").replace(b"\n", b"\r\n") + b"\r\n"
    raise Unsupported("no session description among the parts")


KEYS = ("application/dtmf-relay", "application/dtmf")
SIGNAL = re.compile(rb"^\s*signal\s*=\s*(\S+)\s*$", re.IGNORECASE | re.MULTILINE)
NUMBERED = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
HOOK_FLASH = ("16", "!")


def key(content_type: str, body: bytes) -> str | None:
    """The key of an INFO: `Signal=5` (dtmf-relay), or the key alone. Empty for a hook flash, which
    means nothing here; None where there is none to be read."""
    text = body
    if kind(content_type) == KEYS[0]:
        found = SIGNAL.search(body)
        if found is None:
            return None
        text = found.group(1)
    named = text.strip().decode("latin-1").upper()
    if named in HOOK_FLASH:
        return ""
    named = NUMBERED.get(named, named)
    return named if len(named) == 1 and named in "0123456789*#ABCD" else None
