"""Genesys Cloud by its Audio Connector: an Architect flow hands the caller to us and goes on after.

The upgrade is signed with the integration's API key and client secret
(https://developer.genesys.cloud/devapps/audiohook/security), which `http_signature.py` checks; the
wire is `genesys_codec.py`. There is no webhook and no REST: what is to happen next, a transfer too,
is told to the flow as output variables. Set-up: docs/carriers/genesys.md.
"""

from __future__ import annotations

import time
from base64 import b64decode
from binascii import Error as NotBase64
from collections.abc import Callable
from hmac import compare_digest
from typing import Annotated, Any, Self
from weakref import WeakSet

from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, CarrierError, NotAuthentic
from telebot.call.events import MediaCodec, Started
from telebot.call.model import Call, CallOffer
from telebot.carriers import fields, http_signature
from telebot.carriers.genesys_codec import GenesysCodec
from telebot.carriers.port import Webhook
from telebot.carriers.replays import Replays
from telebot.settings import Row, Settings, row

SESSION = "audiohook-session-id"
COVERED = frozenset(
    {
        "@request-target",
        "@authority",
        "audiohook-organization-id",
        SESSION,
        "audiohook-correlation-id",
        "x-api-key",
    }
)
MAX_AGE_S, SKEW_S = 10, 3  # as in Genesys's reference server
FEWEST_NONCE_CHARS = 22


def _secret(value: Any) -> Any:
    text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
    try:
        b64decode(text, validate=True)
    except NotBase64:
        raise ValueError("write it as the integration has it: base64") from None
    return value


class GenesysSettings(Row):
    """`carriers.genesys` in the configuration."""

    api_key: SecretStr = row(SecretStr(""), "the integration's API key", env="GENESYS_API_KEY")
    client_secret: Annotated[SecretStr, BeforeValidator(_secret)] = row(
        SecretStr(""), "and its client secret (base64)", env="GENESYS_CLIENT_SECRET"
    )


class GenesysCarrier:
    """Genesys Cloud (a `Carrier` that `OffersOnMedia` and `Transfers`)."""

    name = "genesys"
    subprotocols = ()

    def __init__(self, settings: GenesysSettings, clock: Callable[[], float] = time.time) -> None:
        self._api_key = settings.api_key.get_secret_value()
        self._key = b64decode(settings.client_secret.get_secret_value())
        self._clock = clock
        self._nonces = Replays(2 * MAX_AGE_S + SKEW_S, clock)
        self._sessions: WeakSet[GenesysCodec] = WeakSet()

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, GenesysSettings))

    def off(self) -> str | None:
        """Off without the key and the secret that sign."""
        if not self._api_key:
            return "GENESYS_API_KEY is not set"
        return None if self._key else "GENESYS_CLIENT_SECRET is not set"

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one session."""
        codec = GenesysCodec()
        self._sessions.add(codec)
        return codec

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """The call of a session, by the request that opened its socket. Raises `NotAuthentic`,
        `BadRequest`."""
        self._check(request)
        if request.headers.get(SESSION) != started.stream_id:
            raise NotAuthentic("another session than the signed one")
        told = started.parameters
        for value in told.values():
            if len(value) > fields.MAX_FIELD_CHARS:
                raise BadRequest("a number or name is too long")
        return CallOffer(
            carrier=self.name,
            carrier_call_id=started.carrier_call_id,
            phone_from=told.get("from", ""),
            phone_to=told.get("to", ""),
            agent=told.get("agent") or fields.agent(request.url),
        )

    async def transfer(self, call: Call, to: str) -> None:
        """Have the flow put the caller through to `to`: by the output variables `action`
        (``transfer``) and `transfer_to`, told when the session ends. Raises `CarrierError`."""
        for codec in self._sessions:
            if codec.open_as == call.offer.carrier_call_id:
                codec.outputs |= {"action": "transfer", "transfer_to": to}
                return
        raise CarrierError("the call has no session any more")

    async def close(self) -> None:
        """Nothing to give back."""

    def _check(self, request: Webhook) -> None:
        if not self._key or not self._api_key:
            raise NotAuthentic("no key is set")
        signed = http_signature.read(request)
        parameters, now = signed.parameters, self._clock()
        given = request.headers.get("x-api-key", "")
        if not compare_digest(given.encode(), self._api_key.encode()):
            raise NotAuthentic("another API key")
        if parameters.get("keyid") != given or parameters.get("alg") != "hmac-sha256":
            raise NotAuthentic("signed by another key or means")
        if not set(signed.components) >= COVERED:
            raise NotAuthentic("the signature covers too little")
        http_signature.check(request, signed, self._key)
        _in_time(parameters, now)
        nonce = parameters.get("nonce", "")
        if len(nonce) < FEWEST_NONCE_CHARS or not self._nonces.first(nonce):
            raise NotAuthentic("a request that was here before")


def _in_time(parameters: dict[str, str], now: float) -> None:
    created, expires = parameters.get("created", ""), parameters.get("expires", "")
    if not created.isdecimal() or not expires.isdecimal():
        raise NotAuthentic("the signature has no time")
    age = now - int(created)
    if not -SKEW_S <= age <= MAX_AGE_S or now > int(expires) + SKEW_S:
        raise NotAuthentic("signed too long ago, or our clocks differ")
