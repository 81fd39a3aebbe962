"""HTTP message signatures by a shared key (draft-ietf-httpbis-message-signatures-11, HMAC-SHA256).

One signature of one request, as `Signature-Input` and `Signature` carry it; structured fields
(RFC 8941) of no more kinds than that takes. Used by the carrier that signs so.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64decode
from dataclasses import dataclass
from urllib.parse import urlsplit

from telebot.call.errors import NotAuthentic
from telebot.carriers.port import Webhook

MAX_HEADER_CHARS = 2048
DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}

_NAME = r'"[!#-\[\]-~]{1,128}"'
_PARAMETER = r';[a-z]+=(?:"[!#-\[\]-~ ]{0,256}"|[0-9]{1,15})'
_INPUT = re.compile(rf"([a-z*][a-z0-9_.*-]*)=(\(({_NAME}(?: {_NAME})*)\)((?:{_PARAMETER})+))")
_SIGNATURE = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]{1,128}):")


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature covers (names in lower case) and its own parameters."""

    components: tuple[str, ...]
    parameters: dict[str, str]
    signature: bytes
    text: str  # the parameters as they were written


def read(request: Webhook) -> Signed:
    """The one signature of a request. Raises `NotAuthentic` where there is none, or another."""
    headers = request.headers
    given = headers.get("signature-input", "")[:MAX_HEADER_CHARS]
    parts = _INPUT.fullmatch(given)
    signature = _SIGNATURE.fullmatch(headers.get("signature", "")[:MAX_HEADER_CHARS])
    if parts is None or signature is None or parts[1] != signature[1]:
        raise NotAuthentic("no signature")
    pairs = (pair.partition("=") for pair in _split(parts[4]))
    try:
        raw = b64decode(signature[2], validate=True)
    except ValueError:
        raise NotAuthentic("wrong signature") from None
    names = tuple(name.strip('"') for name in parts[3].split(" "))
    parameters = {name: value.strip('"') for name, _, value in pairs}
    return Signed(names, parameters, raw, parts[2])


def check(request: Webhook, signed: Signed, key: bytes) -> None:
    """Raises `NotAuthentic` where `key` has not made the signature."""
    lines = [f'"{name}": {_value(request, name)}' for name in signed.components]
    lines.append(f'"@signature-params": {signed.text}')
    ours = hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).digest()
    if len(set(signed.components)) != len(signed.components):
        raise NotAuthentic("a component is signed twice")
    if not hmac.compare_digest(ours, signed.signature):
        raise NotAuthentic("wrong signature")


def _split(parameters: str) -> list[str]:
    return [found.removeprefix(";") for found in re.findall(_PARAMETER, parameters)]


def _value(request: Webhook, name: str) -> str:
    parts = urlsplit(request.url)
    if name == "@request-target":
        return parts.path + (f"?{parts.query}" if parts.query else "")
    if name == "@authority":
        host = parts.netloc.lower()
        return host.removesuffix(f":{DEFAULT_PORTS.get(parts.scheme, 0)}")
    if name == "@method":
        return request.method
    if name.startswith("@") or name not in request.headers:
        raise NotAuthentic(f"{name} is signed and not there")
    return request.headers[name].strip()
