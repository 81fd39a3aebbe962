"""Plivo: XML answers, audio streams both ways, webhooks signed by version 3, its Call API.

XML: https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-guide .
Signatures are `plivo_signature.py`'s, the stream `plivo_codec.py`'s, the REST `plivo_rest.py`'s.
How to point a number at it: docs/carriers/plivo.md.
"""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlencode

from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, NotAuthentic, Unable
from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fields
from telebot.carriers.fields import Fields
from telebot.carriers.markup import element, response
from telebot.carriers.plivo_codec import CONTENT_TYPE, PlivoCodec
from telebot.carriers.plivo_rest import PlivoRest
from telebot.carriers.plivo_signature import is_signed
from telebot.carriers.port import Answer, StatusUpdate, Webhook, webhooks_of
from telebot.carriers.replays import Replays
from telebot.carriers.rest import OnDemand, rest_url
from telebot.carriers.rooms import MeetsInRooms, Room
from telebot.carriers.sentences import AGAIN, said
from telebot.settings import Row, Settings, row

REST_URL = "https://api.plivo.com"
REMEMBERED_S = 3600.0  # nonces; Plivo signs no time

# https://www.plivo.com/docs/voice/xml/request/call-status
REASONS = {
    "busy": "busy",
    "no-answer": "no_answer",
    "timeout": "no_answer",
    "cancel": "cancelled",
    "failed": "unreachable",
}
CAUSES = {"CALL_REJECTED": "declined", "USER_BUSY": "busy"}
ENDED = frozenset({"completed", *REASONS})

_CALL_UUID = re.compile(r"[0-9A-Za-z-]{1,64}")
_NONCE = re.compile(r"[!-~]{1,128}")


class PlivoSettings(Row):
    """`carriers.plivo` in the configuration."""

    auth_id: str = row("", "account of the REST", env="PLIVO_AUTH_ID")
    auth_token: SecretStr = row(
        SecretStr(""), "signs webhooks, opens the REST", env="PLIVO_AUTH_TOKEN"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "Plivo's REST", env="PLIVO_BASE_URL"
    )


class PlivoCarrier(MeetsInRooms):
    """Plivo (a `Carrier` that `AnswersWebhooks`, also by GET, `StreamsMedia`, `HangsUp`,
    `Transfers`, `TransfersWarm`, `Dials` and `SendsDigits`)."""

    name = "plivo"
    subprotocols = ()
    asks_by_get = True

    def __init__(self, settings: PlivoSettings) -> None:
        super().__init__()
        self._settings = settings
        self._token = settings.auth_token.get_secret_value()
        self._replays = Replays(REMEMBERED_S)
        self._opened = OnDemand(self._client)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry."""
        return cls(settings.carrier(cls.name, PlivoSettings))

    def off(self) -> str | None:
        """Off without the token that signs webhooks."""
        return None if self._token else "PLIVO_AUTH_TOKEN is not set"

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify an answer URL's request and read the call. Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id = fields.field(given, "CallUUID")
        if not _CALL_UUID.fullmatch(call_id):
            raise BadRequest("CallUUID is missing or is not one")
        outbound = fields.field(given, "Direction") == "outbound"
        return CallOffer(
            carrier=self.name,
            carrier_call_id=call_id,
            phone_from=fields.field(given, "From"),
            phone_to=fields.field(given, "To"),
            agent=fields.agent(webhook.url),
            direction="outbound" if outbound else "inbound",
        )

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify a hang-up or fallback request; or one that Plivo makes because of our transfer,
        which it is answered at once. Raises `NotAuthentic`, `BadRequest`."""
        given = self._verified(webhook)
        call_id, status = fields.field(given, "CallUUID"), fields.field(given, "CallStatus")
        query = fields.query(webhook.url)
        if number := fields.field(query, "dial"):
            dial = response(element("Dial", "", None, element("Number", number)))
            return StatusUpdate(call_id, status, False, answer=dial)
        reason = CAUSES.get(fields.field(given, "HangupCause"), "") or REASONS.get(status, "")
        ended = status in ENDED
        answer = self.asked(query, call_id, ended=ended, reason=reason)
        return StatusUpdate(call_id, status, ended, reason, answer)

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Connect to the media stream; when it is over while the caller still is there, Plivo goes
        on to ask `/fallback`."""
        self.base = webhooks_of(media_url)
        attributes = {
            "bidirectional": "true",
            "keepCallAlive": "true",
            "contentType": CONTENT_TYPE,
            "extraHeaders": f"token={token}",
        }
        return response(
            element("Stream", media_url, attributes),
            element("Redirect", f"{self.base}/fallback?after=stream", {"method": "POST"}),
        )

    def apology(self, reason: str) -> Answer:
        """Say what is the matter, where something is, and hang up."""
        if reason == AGAIN:
            return response()
        sentence = said(reason)
        spoken = [element("Speak", sentence)] if sentence else []
        return response(*spoken, element("Hangup"))

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one media stream; its `start` brings the token."""
        return PlivoCodec()

    async def hang_up(self, call: Call) -> None:
        """End the call at Plivo, or one that rings still; one that is over already is fine. Raises
        `CarrierError`."""
        waits = call.offer.outbound and call.answered_at is None
        await self._opened().hang_up(call.offer.carrier_call_id, waits=waits)

    async def transfer(self, call: Call, to: str) -> None:
        """Have Plivo ask us again what to do, where it is told to dial `to`; our stream ends with
        it. Raises `CarrierError`."""
        rest = self._opened()
        if not self.base:
            raise Unable("Plivo has asked no webhook of this server yet")
        url = f"{self.base}/fallback?{urlencode({'dial': to})}"
        await rest.transfer(call.offer.carrier_call_id, url)

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up; Plivo asks the voice webhook once they have answered. Raises
        `CarrierError`."""
        offer = call.offer
        return await self._opened().dial(offer.phone_to, offer.phone_from, way)

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key digits towards the other party. Raises `CarrierError`."""
        await self._opened().send_digits(call.offer.carrier_call_id, digits)

    async def ring(self, call: Call, to: str, room: Room, within_s: float) -> str:
        """The person's leg. Raises `CarrierError`."""
        way = self.way_to(room, within_s)
        return await self._opened().dial(to, call.offer.phone_ours, way)

    async def bring(self, call: Call, room: Room) -> None:
        """Have Plivo ask again what the caller does. Raises `CarrierError`."""
        await self._opened().transfer(call.offer.carrier_call_id, self.room_url(room, "join"))

    async def let_go(self, leg: str) -> None:
        """Hang up on the person. Raises `CarrierError`."""
        await self._opened().hang_up(leg, waits=True)

    def telling(self, room: Room) -> Answer:
        """Say the summary, then ask again."""
        on = element("Redirect", self.room_url(room, "told"), {"method": "POST"})
        return response(element("Speak", room.summary), on)

    def inside(self, room: Room) -> Answer:
        """A conference of two."""
        attributes = {"startConferenceOnEnter": "true", "endConferenceOnExit": "true"}
        return response(element("Conference", room.name, attributes))

    def noted(self) -> Answer:
        """Plivo reads no answer to a hang-up."""
        return response()

    async def close(self) -> None:
        """Close the REST client's connections, once nobody rings any more."""
        await self.finish()
        await self._opened.close()

    def _client(self) -> PlivoRest:
        if not self._settings.auth_id or not self._token:
            raise Unable("PLIVO_AUTH_ID or PLIVO_AUTH_TOKEN is not set")
        return PlivoRest(self._settings.auth_id, self._token, self._settings.base_url)

    def _verified(self, webhook: Webhook) -> Fields:
        """What a request says, by its form or (GET) in its query."""
        nonce = webhook.headers.get("x-plivo-signature-v3-nonce", "")
        signatures = [
            signature.strip()
            for name in ("x-plivo-signature-v3", "x-plivo-signature-ma-v3")
            for signature in webhook.headers.get(name, "").split(",")
            if signature.strip()
        ]
        if not signatures or not _NONCE.fullmatch(nonce):
            raise NotAuthentic("no signature")
        posted = fields.body(webhook) if webhook.method == "POST" else Fields()
        if not is_signed(self._token, webhook.url, posted, nonce, signatures):
            raise NotAuthentic("wrong signature")
        if not self._replays.first(nonce):
            raise NotAuthentic("a request that was here before")
        return posted if webhook.method == "POST" else fields.query(webhook.url)
