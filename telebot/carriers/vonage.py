"""Vonage: NCCO answers, a WebSocket both ways, webhooks signed as JSON Web Tokens, its Voice API.

NCCO: https://developer.vonage.com/en/voice/voice-api/ncco-reference . Signatures are
`vonage_signature.py`'s, the stream `vonage_codec.py`'s, the REST `vonage_rest.py`'s. How to point a
number at it: docs/carriers/vonage.md.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Self

import orjson
from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, NotAuthentic, Unable
from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fields
from telebot.carriers.fields import Fields
from telebot.carriers.port import Answer, StatusUpdate, Webhook, webhooks_of
from telebot.carriers.replays import Replays
from telebot.carriers.rest import OnDemand, rest_url
from telebot.carriers.rooms import MeetsInRooms, Room
from telebot.carriers.sentences import AGAIN, said
from telebot.carriers.vonage_codec import CONTENT_TYPE, VonageCodec
from telebot.carriers.vonage_rest import VonageRest, digits_of
from telebot.carriers.vonage_signature import TOLERANCE_S, Signatures
from telebot.settings import Row, Settings, row

REST_URL = "https://api.nexmo.com"
PEM = "-----BEGIN"

# https://developer.vonage.com/en/voice/voice-api/webhook-reference#event-webhook
REASONS = {
    "busy": "busy",
    "cancelled": "cancelled",
    "unanswered": "no_answer",
    "timeout": "no_answer",
    "rejected": "declined",
    "failed": "unreachable",
}
ENDED = frozenset({"completed", *REASONS})
# of the socket's own leg: it never came up, or it ended while the caller still is there
TRANSFERRED = "transferred"  # the leg goes on by another NCCO, which stands
STREAM_OVER = frozenset({"failed", "unanswered", "disconnected", "rejected", "busy", "timeout"})

_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")


def _private_key(value: Any) -> Any:
    """The key itself, or the file that holds it."""
    text = str(value).replace("\\n", "\n")
    if not text or text.startswith(PEM):
        return text
    try:
        return Path(text).read_text(encoding="ascii")
    except (OSError, ValueError):
        raise ValueError("write the private key (PEM) or the path of its file") from None


class VonageSettings(Row):
    """`carriers.vonage` in the configuration."""

    signature_secret: SecretStr = row(
        SecretStr(""), "checks webhooks", env="VONAGE_SIGNATURE_SECRET"
    )
    application_id: str = row("", "application of the REST", env="VONAGE_APPLICATION_ID")
    private_key: Annotated[SecretStr, BeforeValidator(_private_key)] = row(
        SecretStr(""), "its private key (PEM), or the path of it", env="VONAGE_PRIVATE_KEY"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "Vonage's REST, another region's for example", env="VONAGE_BASE_URL"
    )


class VonageCarrier(MeetsInRooms):
    """Vonage (a `Carrier` that `AnswersWebhooks`, also by GET, `StreamsMedia`, `HangsUp`,
    `Transfers`, `TransfersWarm`, `Dials` and `SendsDigits`)."""

    name = "vonage"
    subprotocols = ()
    asks_by_get = True

    def __init__(self, settings: VonageSettings, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._settings = settings
        secret = settings.signature_secret.get_secret_value()
        self._signatures = Signatures(secret, clock) if secret else None
        self._replays = Replays(2 * TOLERANCE_S, clock)
        self._opened = OnDemand(self._client)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, VonageSettings))

    def off(self) -> str | None:
        """Off without the secret that checks webhooks."""
        return None if self._signatures else "VONAGE_SIGNATURE_SECRET is not set"

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify an answer URL's request and read the call. Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id = fields.field(given, "uuid")
        if not _UUID.fullmatch(call_id):
            raise BadRequest("uuid is missing or is not one")
        return CallOffer(
            carrier=self.name,
            carrier_call_id=call_id,
            phone_from=_e164(fields.field(given, "from")),
            phone_to=_e164(fields.field(given, "to")),
            agent=fields.agent(webhook.url),
        )

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify an event. Those of the socket's own leg come to `/fallback`, and name the call in
        their headers; whatever does not say that it is over, is answered with nothing at once.
        Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id, status = fields.field(given, "uuid"), fields.field(given, "status").lower()
        if of_stream := fields.field(given, "headers.call"):
            over = status in STREAM_OVER
            return StatusUpdate(of_stream, status, False, answer=None if over else _nothing())
        ended, reason = status in ENDED, REASONS.get(status, "")
        answer = self.asked(fields.query(webhook.url), call_id, ended=ended, reason=reason)
        return StatusUpdate(call_id, status, ended, reason, answer)

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Connect to the media stream. Vonage tells `/fallback` how that goes, and takes its answer
        for what to do next where the socket fails."""
        self.base = webhooks_of(media_url)
        endpoint = {
            "type": "websocket",
            "uri": media_url,
            "content-type": CONTENT_TYPE,
            "headers": {"token": token, "call": call.offer.carrier_call_id},
        }
        connect = {
            "action": "connect",
            "eventType": "synchronous",
            "eventUrl": [f"{self.base}/fallback?after=stream"],
            "eventMethod": "POST",
            "endpoint": [endpoint],
        }
        return _ncco(connect)

    def apology(self, reason: str) -> Answer:
        """Say what is the matter, where something is; a call with nothing left to do is over."""
        if reason in (AGAIN, TRANSFERRED):
            return _nothing()
        sentence = said(reason)
        return _ncco(*([{"action": "talk", "text": sentence}] if sentence else []))

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one media stream; its first message brings the token."""
        return VonageCodec()

    async def hang_up(self, call: Call) -> None:
        """End the call at Vonage; one that is over already is fine. Raises `CarrierError`."""
        await self._opened().hang_up(call.offer.carrier_call_id)

    async def transfer(self, call: Call, to: str) -> None:
        """Have the caller's leg go on with another NCCO, which dials `to`; our stream ends with it.
        Raises `CarrierError`."""
        connect = {
            "action": "connect",
            "from": _digits(call.offer.phone_ours),
            "endpoint": [{"type": "phone", "number": _digits(to)}],
        }
        await self._opened().transfer(call.offer.carrier_call_id, connect)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up; Vonage asks the voice webhook once they have answered. Raises
        `CarrierError`."""
        to, caller = _digits(call.offer.phone_to), _digits(call.offer.phone_from)
        return await self._opened().dial(to, caller, way)

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key digits towards the other party. Raises `CarrierError`."""
        await self._opened().send_digits(call.offer.carrier_call_id, digits_of(digits))

    async def ring(self, call: Call, to: str, room: Room, within_s: float) -> str:
        """The person's leg. Raises `CarrierError`."""
        way = self.way_to(room, within_s)
        return await self._opened().dial(_digits(to), _digits(call.offer.phone_ours), way)

    async def bring(self, call: Call, room: Room) -> None:
        """Another NCCO for the caller. Raises `CarrierError`."""
        await self._opened().transfer(call.offer.carrier_call_id, _conversation(room))

    async def let_go(self, leg: str) -> None:
        """Hang up on the person. Raises `CarrierError`."""
        await self._opened().hang_up(leg)

    def telling(self, room: Room) -> Answer:
        """Say the summary, then ask again: the answer to ``notify`` is another NCCO."""
        talk = {"action": "talk", "text": room.summary}
        ask = {
            "action": "notify",
            "payload": {"room": room.name},
            "eventUrl": [self.room_url(room, "told")],
            "eventMethod": "POST",
        }
        return _ncco(talk, ask)

    def inside(self, room: Room) -> Answer:
        """A conversation of two."""
        return _ncco(_conversation(room))

    def noted(self) -> Answer:
        """No new NCCO."""
        return _nothing()

    async def close(self) -> None:
        """Close the REST client's connections, once nobody rings any more."""
        await self.finish()
        await self._opened.close()

    def _client(self) -> VonageRest:
        settings = self._settings
        key = settings.private_key.get_secret_value()
        if not settings.application_id or not key:
            raise Unable("VONAGE_APPLICATION_ID or VONAGE_PRIVATE_KEY is not set")
        return VonageRest(settings.application_id, key, settings.base_url)

    def _verified(self, webhook: Webhook) -> Fields:
        """What a request says, in its JSON or (GET) in its query."""
        if self._signatures is None:
            raise NotAuthentic("this carrier is off")
        token_id = self._signatures.check(webhook)
        if not self._replays.first(token_id):
            raise NotAuthentic("a request that was here before")
        if webhook.method == "GET":
            return fields.query(webhook.url)
        return _read(webhook.body)


def _read(body: bytes) -> Fields:
    """An event's texts, and of its headers the one that we gave the stream."""
    tree = fields.json_object(body)
    given = Fields(fields.texts(tree, fields.MAX_FIELDS))
    headers = fields.texts(tree.get("headers"), fields.MAX_FIELDS)
    if "call" in headers:
        given["headers.call"] = headers["call"]
    return given


def _ncco(*actions: dict[str, Any]) -> Answer:
    return Answer(orjson.dumps(actions).decode(), fields.JSON)


def _conversation(room: Room) -> dict[str, Any]:
    return {
        "action": "conversation",
        "name": room.name,
        "startOnEnter": True,
        "endOnExit": True,
    }


def _nothing() -> Answer:
    """No new NCCO: what goes on goes on."""
    return Answer("", fields.JSON, 204)


def _e164(number: str) -> str:
    """Vonage leaves the ``+`` of a number away."""
    return f"+{number}" if number.isdecimal() else number


def _digits(number: str) -> str:
    return number.removeprefix("+")
