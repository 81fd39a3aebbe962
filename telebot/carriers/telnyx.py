"""Telnyx: TeXML webhooks signed by Ed25519, media streams, Call Control for what we do to a call.

TeXML: https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream . Signatures:
https://developers.telnyx.com/docs/messaging/webhooks (``telnyx-signature-ed25519`` is over
``timestamp|body``, five minutes at most, as in Telnyx's own libraries). The stream is
`telnyx_codec.py`'s, the REST `telnyx_rest.py`'s. How to point a number at it:
docs/carriers/telnyx.md.
"""

from __future__ import annotations

import re
import time
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Callable
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, NotAuthentic, Unable
from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fields
from telebot.carriers.fields import Fields
from telebot.carriers.markup import element, response
from telebot.carriers.port import Answer, StatusUpdate, Webhook, webhooks_of
from telebot.carriers.replays import Replays
from telebot.carriers.rest import OnDemand, rest_url
from telebot.carriers.rooms import MeetsInRooms, Room
from telebot.carriers.sentences import AGAIN, said
from telebot.carriers.telnyx_codec import CALL_ID, TelnyxCodec
from telebot.carriers.telnyx_rest import TelnyxRest
from telebot.settings import Row, Settings, row

REST_URL = "https://api.telnyx.com"
TOLERANCE_S = 300
KEY_BYTES = 32  # of an Ed25519 key; in DER (RFC 8410) it ends one of 44

# of an outbound call that nobody answered; by the status of TeXML, or by the cause of Call Control
REASONS = {
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "cancelled",
    "failed": "unreachable",
}
CAUSES = {
    "user_busy": "busy",
    "call_rejected": "declined",
    "timeout": "no_answer",
    "no_answer": "no_answer",
    "originator_cancel": "cancelled",
    "not_found": "unreachable",
    "unspecified": "unreachable",
}
ENDED = frozenset({"completed", "busy", "failed", "no-answer", "canceled", "call.hangup"})

STEPS = ("call", "after", "room", "step")  # parameters of the URLs we give

_TIMESTAMP = re.compile(r"[0-9]{1,12}")


def _public_key(value: Any) -> Any:
    try:
        whole = a2b_base64(str(value), strict_mode=True)
    except NotBase64:
        whole = b""
    if value and len(whole) not in (KEY_BYTES, 44):
        raise ValueError("write the public key as the portal shows it (base64 of 32 bytes)")
    return value


class TelnyxSettings(Row):
    """`carriers.telnyx` in the configuration."""

    public_key: Annotated[str, BeforeValidator(_public_key)] = row(
        "", "checks webhooks, as the portal shows it", env="TELNYX_PUBLIC_KEY"
    )
    api_key: SecretStr = row(SecretStr(""), "opens the REST", env="TELNYX_API_KEY")
    account_sid: str = row(
        "", "account of the REST; empty: the one that calls", env="TELNYX_ACCOUNT_SID"
    )
    application_id: str = row(
        "",
        "TeXML application of a warm transfer's person; empty: the one that calls",
        env="TELNYX_APPLICATION_ID",
    )
    connection_id: str = row(
        "", "Call Control application that outbound calls belong to", env="TELNYX_CONNECTION_ID"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "Telnyx's REST", env="TELNYX_BASE_URL"
    )


class TelnyxCarrier(MeetsInRooms):
    """Telnyx (a `Carrier` that `AnswersWebhooks`, `StreamsMedia`, `HangsUp`, `Transfers`,
    `TransfersWarm`, `Dials` and `SendsDigits`)."""

    name = "telnyx"
    subprotocols = ()

    def __init__(self, settings: TelnyxSettings, clock: Callable[[], float] = time.time) -> None:
        super().__init__()
        self._settings = settings
        self._account_sid = settings.account_sid
        self._application_id = settings.application_id
        self._clock = clock
        self._replays = Replays(2 * TOLERANCE_S, clock)
        self._opened = OnDemand(self._client)
        if not self.off():
            key = a2b_base64(settings.public_key)[-KEY_BYTES:]
            self._key = Ed25519PublicKey.from_public_bytes(key)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, TelnyxSettings))

    def off(self) -> str | None:
        """Off without the key that checks webhooks."""
        return None if self._settings.public_key else "TELNYX_PUBLIC_KEY is not set"

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify a TeXML voice webhook and read the call. Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id = fields.field(given, "CallSid")
        if not CALL_ID.fullmatch(call_id):
            raise BadRequest("CallSid is missing or is not one")
        account_sid = fields.field(given, "AccountSid")
        if not self._account_sid and CALL_ID.fullmatch(account_sid):
            self._account_sid = account_sid
        application_id = fields.field(given, "ConnectionId")
        if not self._application_id and application_id.isdecimal():
            self._application_id = application_id
        outbound = fields.field(given, "Direction").startswith("outbound")
        return CallOffer(
            carrier=self.name,
            carrier_call_id=call_id,
            phone_from=fields.field(given, "From"),
            phone_to=fields.field(given, "To"),
            agent=fields.agent(webhook.url),
            direction="outbound" if outbound else "inbound",
        )

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify a TeXML status callback, or an event of Call Control for a call that we dialled.
        Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id = fields.field(given, "CallSid")
        status = fields.field(given, "CallStatus").lower()
        cause = CAUSES.get(fields.field(given, "HangupCause").lower(), "")
        ended, reason = status in ENDED, cause or REASONS.get(status, "")
        answer = self.asked(fields.query(webhook.url), call_id, ended=ended, reason=reason)
        return StatusUpdate(call_id, status, ended, reason, answer)

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Connect to the media stream; when it is over while the caller still is there, Telnyx
        asks `/fallback`. ``rtp``: both ways, in frames; ``PCMU`` also where the call is A-law."""
        attributes = {
            "url": media_url,
            "track": "inbound_track",
            "codec": "PCMU",
            "bidirectionalMode": "rtp",
            "bidirectionalCodec": "PCMU",
        }
        parameter = element("Parameter", "", {"name": "token", "value": token})
        self.base = webhooks_of(media_url)
        after = element("Redirect", f"{self.base}/fallback?after=stream", {"method": "POST"})
        stream = element("Stream", "", attributes, parameter)
        return response(element("Connect", "", None, stream), after)

    def apology(self, reason: str) -> Answer:
        """Say what is the matter, where something is, and hang up."""
        if reason == AGAIN:
            return response()
        sentence = said(reason)
        spoken = [element("Say", sentence)] if sentence else []
        return response(*spoken, element("Hangup"))

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one media stream; its `start` brings the token."""
        return TelnyxCodec()

    async def hang_up(self, call: Call) -> None:
        """End the call at Telnyx; one that is over already is fine. Raises `CarrierError`."""
        await self._opened().hang_up(call.offer.carrier_call_id)

    async def transfer(self, call: Call, to: str) -> None:
        """Dial `to` for the caller: by other TeXML where the call runs on it, else (a call that we
        dialled) by Call Control. Raises `CarrierError`."""
        rest, call_id = self._opened(), call.offer.carrier_call_id
        if call.offer.direction == "outbound":
            await rest.transfer(call_id, to)
            return
        if not self._account_sid:
            raise Unable("TELNYX_ACCOUNT_SID is not set")
        texml = response(element("Dial", "", None, element("Number", to))).body
        await rest.update(self._account_sid, call_id, texml)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up by Call Control, with the media stream on it from the moment they answer
        and the token in its `client_state`. Raises `CarrierError`."""
        rest = self._opened()
        if not self._settings.connection_id:
            raise Unable("TELNYX_CONNECTION_ID is not set")
        self.base = way.status_url.partition("/status")[0]
        return await rest.dial(
            self._settings.connection_id, call.offer.phone_to, call.offer.phone_from, way
        )

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key digits towards the other party. Raises `CarrierError`."""
        await self._opened().send_digits(call.offer.carrier_call_id, digits)

    async def ring(self, call: Call, to: str, room: Room, within_s: float) -> str:
        """The person's leg, by TeXML as the caller's is. Raises `CarrierError`."""
        if call.offer.outbound:
            raise Unable("a call that we dialled runs on Call Control, and meets nobody in a room")
        if not self._account_sid or not self._application_id:
            raise Unable("TELNYX_ACCOUNT_SID or TELNYX_APPLICATION_ID is not set")
        fields_of = {
            "ApplicationSid": self._application_id,
            "To": to,
            "From": call.offer.phone_ours,
            "Url": self.room_url(room),
            "StatusCallback": self.room_url(room, "status"),
        }
        return await self._opened().create(self._account_sid, fields_of)

    async def bring(self, call: Call, room: Room) -> None:
        """Other TeXML for the caller. Raises `CarrierError`."""
        texml = self.inside(room).body
        await self._opened().update(self._account_sid, call.offer.carrier_call_id, texml)

    async def let_go(self, leg: str) -> None:
        """Hang up on the person. Raises `CarrierError`."""
        await self._opened().hang_up(leg)

    def telling(self, room: Room) -> Answer:
        """Say the summary, then ask again."""
        on = element("Redirect", self.room_url(room, "told"), {"method": "POST"})
        return response(element("Say", room.summary), on)

    def inside(self, room: Room) -> Answer:
        """A conference of two."""
        attributes = {
            "beep": "false",
            "startConferenceOnEnter": "true",
            "endConferenceOnExit": "true",
        }
        conference = element("Conference", room.name, attributes)
        return response(element("Dial", "", None, conference))

    def noted(self) -> Answer:
        """Telnyx reads no answer to a status."""
        return response()

    async def close(self) -> None:
        """Close the REST client's connections, once nobody rings any more."""
        await self.finish()
        await self._opened.close()

    def _client(self) -> TelnyxRest:
        api_key = self._settings.api_key.get_secret_value()
        if not api_key:
            raise Unable("TELNYX_API_KEY is not set")
        return TelnyxRest(api_key, self._settings.base_url)

    def _verified(self, webhook: Webhook) -> Fields:
        """The fields of a form, or of an event of Call Control by TeXML's names."""
        signature = webhook.headers.get("telnyx-signature-ed25519", "")
        timestamp = webhook.headers.get("telnyx-timestamp", "")
        if not signature or not _TIMESTAMP.fullmatch(timestamp):
            raise NotAuthentic("no signature")
        if abs(self._clock() - int(timestamp)) > TOLERANCE_S:
            raise NotAuthentic("signed too long ago, or our clocks differ")
        try:
            signed = a2b_base64(signature, strict_mode=True)
            self._key.verify(signed, timestamp.encode() + b"|" + webhook.body)
        except (NotBase64, ValueError, InvalidSignature):
            raise NotAuthentic("wrong signature") from None
        if not self._replays.first(f"{timestamp} {signature} {_step(webhook.url)}"):
            raise NotAuthentic("a request that was here before")
        if fields.content_type(webhook) == fields.JSON:
            return _event(webhook.body)
        return fields.body(webhook)


def _step(url: str) -> str:
    """What a request asks for. Two of one second may say the same (and so have one signature) at
    two steps of a call."""
    query = fields.query(url)
    return " ".join([urlsplit(url).path, *(query.get(name, "") for name in STEPS)])


def _event(body: bytes) -> Fields:
    """https://developers.telnyx.com/api-reference/callbacks/call-hangup"""
    try:
        tree = orjson.loads(body)
        data = tree["data"]
        payload = fields.texts(data["payload"], fields.MAX_FIELDS)
        event = str(data["event_type"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequest("this is no event of Call Control") from error
    return Fields(
        {
            "CallSid": payload.get("call_control_id", ""),
            "CallStatus": event,
            "HangupCause": payload.get("hangup_cause", ""),
        }
    )
