"""Vonage's signed webhooks: a JSON Web Token (HS256) in ``Authorization``, over a hash of what is
said.

https://developer.vonage.com/en/getting-started/concepts/webhooks#decoding-signed-webhooks ;
`payload_hash` is SHA-256 of the body, for GET of the query's parameters as a JSON object without
white space, in their order. The page asks for the hash to be checked over plain HTTP; we always do,
because it alone covers what is said. Parameters of a URL that are ours (`agent`, `call`) Vonage may
count or not: the page does not say, both are taken.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from hmac import compare_digest
from urllib.parse import parse_qsl, urlsplit

import jwt
import orjson

from telebot.call.errors import NotAuthentic
from telebot.carriers.fields import MAX_FIELDS
from telebot.carriers.port import Webhook

TOLERANCE_S = 300  # as old as a token may be, and as far our clocks may differ
MAX_TOKEN_CHARS = 4096
OURS = frozenset(
    {"agent", "call", "after", "room", "step"}
)  # parameters that stand in the URLs we give


class Signatures:
    """Checks requests by the account's signature secret."""

    def __init__(self, secret: str, clock: Callable[[], float]) -> None:
        self._secret = secret
        self._clock = clock

    def check(self, webhook: Webhook) -> str:
        """The token's own id. Raises `NotAuthentic`."""
        scheme, _, token = webhook.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN_CHARS:
            raise NotAuthentic("no signature")
        try:
            claims = jwt.decode(
                token.strip(),
                self._secret,
                algorithms=["HS256"],
                # our own clock decides below
                options={
                    "require": ["iat", "jti"],
                    "verify_iat": False,
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_aud": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError) as error:
            raise NotAuthentic(f"wrong signature: {type(error).__name__}") from None
        issued, given = claims["iat"], claims.get("payload_hash")
        if not isinstance(issued, int | float) or abs(self._clock() - issued) > TOLERANCE_S:
            raise NotAuthentic("signed too long ago, or our clocks differ")
        told = given.lower().encode("utf-8", "replace") if isinstance(given, str) else b""
        if not any(compare_digest(one, told) for one in _hashes(webhook)):
            raise NotAuthentic("what is said is not what was signed")
        return str(claims["jti"])


def _hashes(webhook: Webhook) -> Iterator[bytes]:
    """What a token may say of a request, as hexadecimal digits."""
    if webhook.method != "GET":
        yield _hash(webhook.body)
        return
    try:
        query = urlsplit(webhook.url).query
        asked = dict(
            parse_qsl(query, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        )
        yield _hash(orjson.dumps(asked))
        theirs = {name: value for name, value in asked.items() if name not in OURS}
        yield _hash(orjson.dumps(theirs))
    except ValueError:
        return


def _hash(said: bytes) -> bytes:
    return hashlib.sha256(said).hexdigest().encode()
