"""Exotel: its Voicebot applet streams a call to us, its Connect API rings somebody up.

https://developer.exotel.com/docs/agentstream/stream-voicebot-applet . Exotel signs nothing: who may
come in is `door.py`'s matter (HTTP Basic in the URLs that the flow has, or a list of addresses).
The applet may ask `/voice` where to go, or go to `/media` at once, and the stream offers the call
itself. The stream is `exotel_codec.py`'s, the REST `exotel_rest.py`'s; docs/carriers/exotel.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections import OrderedDict
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, Unable
from telebot.call.events import MediaCodec, Started
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fields
from telebot.carriers.door import Door
from telebot.carriers.exotel_codec import ExotelCodec
from telebot.carriers.exotel_rest import ExotelRest
from telebot.carriers.fields import Fields
from telebot.carriers.multipart import parts
from telebot.carriers.port import Answer, StatusUpdate, Webhook
from telebot.carriers.rest import OnDemand, rest_url
from telebot.setting_types import Networks
from telebot.settings import Row, Settings, row

REST_URL = "https://api.exotel.com"
REMEMBERED = 4096  # tickets and transfers that nobody has asked for yet

# https://developer.exotel.com/docs/voice-v1/api-reference/status-callback
REASONS = {
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "cancelled",
    "failed": "unreachable",
}
ENDED = frozenset({"completed", *REASONS})

_CALL_SID = re.compile(r"[0-9A-Za-z_-]{1,64}")


class ExotelSettings(Row):
    """`carriers.exotel` in the configuration."""

    api_key: str = row("", "user of the REST, and in the URLs of the flow", env="EXOTEL_API_KEY")
    api_token: SecretStr = row(SecretStr(""), "its password", env="EXOTEL_API_TOKEN")
    account_sid: str = row("", "account of the REST", env="EXOTEL_ACCOUNT_SID")
    peers: Networks = row(
        (), "addresses that may offer calls; empty: any with the password", env="EXOTEL_PEERS"
    )
    connect_applet: bool = row(
        False, "behind the Voicebot applet the flow has a Connect applet that asks us: transfers"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "Exotel's REST, the Mumbai region's for example", env="EXOTEL_BASE_URL"
    )


class ExotelCarrier:
    """Exotel (a `Carrier` that `AnswersWebhooks`, also by GET, `OffersOnMedia` and `Dials`)."""

    name = "exotel"
    subprotocols = ()
    asks_by_get = True

    def __init__(self, settings: ExotelSettings) -> None:
        self._settings = settings
        self._password = settings.api_token.get_secret_value()
        self._door = Door(settings.api_key, self._password, settings.peers)
        # the URL of a stream takes 256 characters of parameters, fewer than a token has
        self._tickets: OrderedDict[str, str] = OrderedDict()
        self._opened = OnDemand(self._client)

    @classmethod
    def from_settings(cls, settings: Settings) -> ExotelCarrier:
        """Built by the registry; one that can transfer where the flow is made for it."""
        own = settings.carrier(cls.name, ExotelSettings)
        return ConnectingExotel(own) if own.connect_applet else cls(own)

    def off(self) -> str | None:
        """Off where nobody could come in but this machine."""
        on = self._password or self._settings.peers
        return None if on else "EXOTEL_API_TOKEN is not set"

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify the request of a Voicebot applet with an HTTPS address and read the call. Raises
        `NotAuthentic`, `BadRequest`."""
        self._door.check(webhook)
        given = _given(webhook)
        call_id = _call_id(given)
        caller = fields.field(given, "callfrom") or fields.field(given, "from")
        called = fields.field(given, "callto") or fields.field(given, "to")
        return CallOffer(self.name, call_id, caller, called, fields.agent(webhook.url))

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify a status callback, or what a Passthru or Connect applet says behind the stream.
        Raises `NotAuthentic`, `BadRequest`."""
        if not self._is_proven(webhook):
            self._door.check(webhook)
        given = _given(webhook)
        status = (fields.field(given, "status") or fields.field(given, "callstatus")).lower()
        call_id = _call_id(given)
        answer = self._answer_of(call_id)
        return StatusUpdate(call_id, status, status in ENDED, REASONS.get(status, ""), answer)

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Where the applet's stream goes."""
        return _json({"url": f"{media_url}?t={self._ticket(token)}"})

    def apology(self, reason: str) -> Answer:
        """No address and nobody to dial: the flow goes on, and what the caller hears is its."""
        return _connect()

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one media stream, with the token whose ticket its URL shows."""
        ticket = fields.query(request.url).get("t", "")
        return ExotelCodec(self._tickets.pop(ticket, ""))

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """A stream without a ticket: `start` says whose call it is. Raises `NotAuthentic`,
        `BadRequest`."""
        self._door.check(request)
        said = started.parameters
        agent = said.get("agent") or fields.agent(request.url)
        caller, called = said.get("from", ""), said.get("to", "")
        if max(len(caller), len(called), len(agent or "")) > fields.MAX_FIELD_CHARS:
            raise BadRequest("a parameter is too long")
        return CallOffer(self.name, started.carrier_call_id, caller, called, agent)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up; once they have answered Exotel opens the stream. Raises
        `CarrierError`."""
        rest = self._opened()
        status_url = f"{way.status_url}&proof={self._proof(call.id)}"
        stream_url = f"{way.media_url}?t={self._ticket(way.token)}"
        return await rest.dial(
            call.offer.phone_to, call.offer.phone_from, stream_url, status_url, way.within_s
        )

    async def close(self) -> None:
        """Close the REST client's connections."""
        await self._opened.close()

    def _answer_of(self, call_id: str) -> Answer | None:
        return None

    def _ticket(self, token: str) -> str:
        """A short name for a token, good once."""
        ticket = secrets.token_urlsafe(16)
        _keep(self._tickets, ticket, token)
        return ticket

    def _proof(self, call_id: str) -> str:
        """What makes a callback's URL ours alone."""
        key = self._password.encode()
        return hmac.new(key, call_id.encode(), hashlib.sha256).hexdigest()

    def _is_proven(self, webhook: Webhook) -> bool:
        query = fields.query(webhook.url)
        call_id, proof = query.get("call", ""), query.get("proof", "")
        if not self._password or not call_id:
            return False
        return hmac.compare_digest(self._proof(call_id).encode(), proof.encode("utf-8", "replace"))

    def _client(self) -> ExotelRest:
        settings = self._settings
        if not settings.account_sid or not settings.api_key or not self._password:
            raise Unable("EXOTEL_ACCOUNT_SID, EXOTEL_API_KEY or EXOTEL_API_TOKEN is not set")
        return ExotelRest(settings.account_sid, settings.api_key, self._password, settings.base_url)


class ConnectingExotel(ExotelCarrier):
    """Exotel whose flow asks us, behind the stream, whom to dial (also `Transfers`)."""

    def __init__(self, settings: ExotelSettings) -> None:
        super().__init__(settings)
        self._transfers: OrderedDict[str, str] = OrderedDict()

    async def transfer(self, call: Call, to: str) -> None:
        """Remember whom to dial: the stream is closed next, and the flow's Connect applet asks
        `/fallback`."""
        _keep(self._transfers, call.offer.carrier_call_id, to)

    def _answer_of(self, call_id: str) -> Answer | None:
        number = self._transfers.get(call_id)
        return _connect(number) if number else None


def _given(webhook: Webhook) -> Fields:
    """Fields by their names in small letters, which Exotel writes in two ways."""
    given = Fields(fields.query(webhook.url))
    if webhook.method == "POST":
        told = parts(webhook) if fields.content_type(webhook).startswith("multipart/") else None
        given.extend(told if told is not None else fields.body(webhook))
    return Fields((name.lower(), value) for name, value in given.items())


def _call_id(given: Fields) -> str:
    call_id = fields.field(given, "callsid")
    if not _CALL_SID.fullmatch(call_id):
        raise BadRequest("CallSid is missing or is not one")
    return call_id


def _connect(*numbers: str) -> Answer:
    """https://support.exotel.com/support/solutions/articles/3000096873"""
    return _json({"fetch_after_attempt": False, "destination": {"numbers": numbers}})


def _json(tree: dict[str, Any]) -> Answer:
    return Answer(orjson.dumps(tree).decode(), fields.JSON)


def _keep(kept: OrderedDict[str, str], name: str, value: str) -> None:
    kept[name] = value
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
