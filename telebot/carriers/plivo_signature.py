"""Plivo's signatures, version 3: HMAC-SHA256 over the URL, what was posted, and a nonce.

https://www.plivo.com/docs/voice/concepts/signature-validation . The URL without its query, then a
``?`` and the query's parameters sorted (``name=value``, ``&`` between); where something was posted
a ``.`` and its fields sorted (``namevalue``, nothing between); a ``.`` and the nonce. The account
token is the key, the result base64. How the parts are joined where one is empty is taken from
Plivo's own libraries.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable
from hmac import compare_digest, digest
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from multidict import MultiDict


def is_signed(
    token: str, url: str, posted: MultiDict[str], nonce: str, signatures: Iterable[str]
) -> bool:
    """Whether one of `signatures` is the one that `token` makes."""
    try:
        text = f"{_covered(url, posted)}.{nonce}".encode()
    except ValueError:  # a port, a character or an encoding no URL has
        return False
    right = b2a_base64(digest(token.encode(), text, "sha256"), newline=False)
    return any(compare_digest(right, given.encode("utf-8", "replace")) for given in signatures)


def _covered(url: str, posted: MultiDict[str]) -> str:
    parts = urlsplit(url)
    base = urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))
    query = parse_qsl(parts.query, keep_blank_values=True, errors="strict")
    asked = "&".join(f"{name}={value}" for name, value in sorted(query))
    if not posted:
        return f"{base}?{asked}" if asked else base
    told = "".join(f"{name}{value}" for name, value in sorted(posted.items()))
    return f"{base}?{asked}.{told}" if asked else f"{base}?{told}"
