"""The parts of a form that has arrived whole (RFC 7578, RFC 2046 section 5.1.1).

A form with a recording is read in one piece anyway, and cutting it up at its boundaries is then a
search in memory: aiohttp's reader, made for forms of any size, takes longer for a short recording
than all the rest of a request. Next: `uploads.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

MOST_BOUNDARY = 70  # RFC 2046 section 5.1.1
MOST_HEAD = 8 << 10  # of one part
# a parameter of a header: a token, or a text in quotes (RFC 9110 section 5.6.6)
_PARAMETER = re.compile(
    r""";\s*([\w!#$%&'*+.^`|~-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[\w!#$%&'*+.^`|~/:=?()@,-]*)\s*""",
    re.ASCII,
)


class BrokenForm(ValueError):
    """Bytes that are no form."""


@dataclass(frozen=True, slots=True)
class Part:
    """One field or file of a form."""

    name: str
    media_type: str
    value: bytes


def boundary_of(content_type: str) -> bytes:
    """What stands between the parts, of a request's ``Content-Type``. Raises `BrokenForm`."""
    boundary = _said(content_type)[1].get("boundary", "")
    if not 0 < len(boundary) <= MOST_BOUNDARY:
        raise BrokenForm("no boundary")
    try:
        return boundary.encode("ascii")
    except UnicodeEncodeError:
        raise BrokenForm("a boundary that is none") from None


def parts(body: bytes, boundary: bytes) -> Iterator[Part]:
    """Each part, in order. Raises `BrokenForm`, also where the end is missing."""
    delimiter = b"\r\n--" + boundary
    at = 0 if body.startswith(delimiter[2:]) else body.find(delimiter) + 2
    if at == 1:
        raise BrokenForm("no part")
    at += len(delimiter) - 2
    while body[at : at + 2] != b"--":
        begin = _line_end(body, at)
        end = body.find(delimiter, begin - 2)  # a part without a header and a value may be nothing
        if end < 0:
            raise BrokenForm("no end")
        yield _part(body, begin, end)
        at = end + len(delimiter)


def _line_end(body: bytes, at: int) -> int:
    """Where the line behind a delimiter begins; blanks may stand before its end."""
    while body[at : at + 1] in (b" ", b"\t"):
        at += 1
    if body[at : at + 2] != b"\r\n":
        raise BrokenForm("a delimiter with something behind it")
    return at + 2


def _part(body: bytes, begin: int, end: int) -> Part:
    head_end = body.find(b"\r\n\r\n", begin, min(end, begin + MOST_HEAD) + 4)
    if head_end < 0 or head_end + 4 > end:
        raise BrokenForm("a part without a head")
    name, media_type = _named(body[begin:head_end])
    return Part(name, media_type, body[head_end + 4 : end])


@lru_cache(maxsize=256)
def _named(head: bytes) -> tuple[str, str]:
    """Name and media type of a part; forms of one program have the same heads again and again."""
    name, media_type = "", ""
    for line in head.split(b"\r\n"):
        field, colon, value = line.partition(b":")
        if not colon:
            raise BrokenForm("a header that is none")
        text = value.decode("utf-8", "replace").strip()
        match field.strip().lower():
            case b"content-disposition":
                kind, said = _said(text)
                name = said.get("name", "") if kind == "form-data" else ""
            case b"content-type":
                media_type = text
    if not name:
        raise BrokenForm("a part without a name")
    return name, media_type


def _said(value: str) -> tuple[str, dict[str, str]]:
    """A header's first word, and its parameters as far as they can be read; of two alike the first
    one counts."""
    word, _, _ = value.partition(";")
    said: dict[str, str] = {}
    at = len(word)
    while (found := _PARAMETER.match(value, at)) is not None:
        at, text = found.end(), found[2]
        if text.startswith('"'):
            text = re.sub(r"\\(.)", r"\1", text[1:-1])
        said.setdefault(found[1].lower(), text)
    return word.strip().lower(), said
