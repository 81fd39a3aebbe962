"""Genesys Cloud's Audio Connector: opens the server's media socket, signed as Genesys signs it.

https://developer.genesys.cloud/devapps/audiohook/security : a signature by the integration's client
secret over the request's target, authority and AudioHook's headers. The session is
`genesys_stream.py`'s.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Mapping
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import aiohttp

from telebot.phone.destination import CannotCall, Destination
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.genesys_stream import GenesysStream
from telebot.phone.microphone import Microphone

COVERED = (
    "@request-target",
    "@authority",
    "audiohook-organization-id",
    "audiohook-session-id",
    "audiohook-correlation-id",
    "x-api-key",
)
LIFE_S = 30


class GenesysExchange:
    """An `Exchange` whose flow hands the call over with the stream itself."""

    def __init__(self, to: Destination) -> None:
        self._to = to

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """``key:secret`` of the integration. Raises `CannotCall`."""
        return ":".join(needed(f"GENESYS_{name}", carrier) for name in ("API_KEY", "CLIENT_SECRET"))

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Open the session. Raises `CannotCall`."""
        to = self._to
        stream = GenesysStream(str(uuid4()), microphone, phone_from=to.phone_from, to=to.phone_to)
        query = "?" + urlencode({"agent": to.agent}) if to.agent else ""
        base = (to.public_url or to.server).rstrip("/")
        api_key, _, secret = to.secret.partition(":")
        headers = {
            "Audiohook-Organization-Id": str(uuid4()),
            "Audiohook-Session-Id": stream.session_id,
            "Audiohook-Correlation-Id": str(uuid4()),
            "X-Api-Key": api_key,
        }
        known_as = f"{base}/{to.carrier}/media{query}"
        headers |= signed(known_as, headers, secret, int(time.time()))
        return Connection(
            stream, await open_socket(session, to.media_url() + query, headers=headers)
        )

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The flow goes on; what it says is its own."""
        return ""


def signed(url: str, headers: Mapping[str, str], secret: str, at: int) -> dict[str, str]:
    """The two headers of a signature made at `at` (seconds since 1970). Raises `CannotCall`."""
    try:
        key = b64decode(secret, validate=True)
    except NotBase64:
        raise CannotCall("GENESYS_CLIENT_SECRET must be base64") from None
    parts = urlsplit(url)
    values = {name.lower(): value for name, value in headers.items()}
    values["@request-target"] = parts.path + (f"?{parts.query}" if parts.query else "")
    values["@authority"] = parts.netloc
    names = " ".join(f'"{name}"' for name in COVERED)
    nonce = b64encode(secrets.token_bytes(18)).decode()
    told = (
        f'({names});keyid="{values["x-api-key"]}";nonce="{nonce}";alg="hmac-sha256"'
        f";created={at};expires={at + LIFE_S}"
    )
    lines = [f'"{name}": {values[name]}' for name in COVERED]
    base = "\n".join([*lines, f'"@signature-params": {told}'])
    made = b64encode(hmac.new(key, base.encode(), hashlib.sha256).digest()).decode()
    return {"Signature-Input": f"sig1={told}", "Signature": f"sig1=:{made}:"}
