"""jambonz: signed webhooks, verbs as JSON, audio by its `listen` verb both ways.

https://docs.jambonz.org (verbs, REST) and, for the signature, `lib/utils/base-requestor.js` of
https://github.com/jambonz/jambonz-feature-server : ``Jambonz-Signature: t=SECONDS,v1=HEX``, which
is HMAC-SHA256 over ``t.body``. When the stream is over jambonz asks `/fallback` what now, which is
also how a caller is put through. The wire is `l16.py`'s. How to point an application at it:
docs/carriers/jambonz.md.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import BeforeValidator, SecretStr

from telebot.call.errors import BadRequest, CarrierError, NotAuthentic, Unable
from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.call.ports import Way
from telebot.carriers import fields
from telebot.carriers.l16 import ForkCodec
from telebot.carriers.port import Answer, StatusUpdate, Webhook, webhooks_of
from telebot.carriers.replays import Replays
from telebot.carriers.rest import JsonRest, OnDemand, rest_url
from telebot.carriers.rooms import MeetsInRooms, Room
from telebot.carriers.sentences import AGAIN, said
from telebot.settings import Row, Settings, row

REST_URL = "https://jambonz.cloud"
TOLERANCE_S = 300
MOST_MOVED = 1024
CALL_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
ENDED = frozenset({"completed", "failed", "busy", "no-answer"})
REASONS = {"busy": "busy", "no-answer": "no_answer"}
SIP_REASONS = {486: "busy", 600: "busy", 603: "declined", 403: "declined", 487: "cancelled"}

_SIGNATURE = re.compile(r"t=([0-9]{1,12})((?:,v1=[0-9a-f]{64}){1,4})")

Verb = dict[str, Any]


class JambonzSettings(Row):
    """`carriers.jambonz` in the configuration."""

    webhook_secret: SecretStr = row(
        SecretStr(""), "signs webhooks, as the portal shows it", env="JAMBONZ_WEBHOOK_SECRET"
    )
    account_sid: str = row("", "account of the REST", env="JAMBONZ_ACCOUNT_SID")
    api_key: SecretStr = row(
        SecretStr(""), "opens the REST; empty: no calls of ours", env="JAMBONZ_API_KEY"
    )
    base_url: Annotated[str, BeforeValidator(rest_url(REST_URL))] = row(
        REST_URL, "jambonz's REST (in front of /api/v1)", env="JAMBONZ_BASE_URL"
    )


class JambonzCodec(ForkCodec):
    """The `listen` verb's stream; its first message is the call as webhooks describe it."""

    id_name = "callSid"


class JambonzCarrier:
    """jambonz without its REST (`AnswersWebhooks`, `StreamsMedia`, `Transfers`)."""

    name = "jambonz"
    subprotocols = ("audio.jambonz.org",)
    base = ""

    def __init__(self, settings: JambonzSettings, clock: Callable[[], float] = time.time) -> None:
        self._secret = settings.webhook_secret.get_secret_value().encode()
        self._clock = clock
        self._replays = Replays(2 * TOLERANCE_S, clock)
        self._moved: OrderedDict[str, str] = OrderedDict()  # where to, until jambonz asks

    @classmethod
    def from_settings(cls, settings: Settings) -> JambonzCarrier:
        """Built by the registry; what the REST does is there where its key is set."""
        own = settings.carrier(cls.name, JambonzSettings)
        has_rest = own.account_sid and own.api_key.get_secret_value()
        return JambonzByRest(own) if has_rest else cls(own)

    def off(self) -> str | None:
        """Off without the secret that signs webhooks."""
        return None if self._secret else "JAMBONZ_WEBHOOK_SECRET is not set"

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify a call hook and read the call. Raises `NotAuthentic`, `BadRequest`."""
        tree = self._verified(webhook)
        outbound = tree.get("direction") == "outbound"
        return CallOffer(
            carrier=self.name,
            carrier_call_id=_call_id(tree),
            phone_from=_text(tree, "from"),
            phone_to=_text(tree, "to"),
            agent=fields.agent(webhook.url),
            direction="outbound" if outbound else "inbound",
        )

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify a call status hook, or the end of a `listen`. Raises as `parse_offer`."""
        tree = self._verified(webhook)
        call_id, status = _call_id(tree), _text(tree, "call_status")
        reason = REASONS.get(status, "")
        if status == "failed":
            reason = SIP_REASONS.get(_sip_status(tree), "unreachable")
        update = StatusUpdate(call_id, status, status in ENDED, reason)
        return replace(update, answer=self._answered(webhook.url, update))

    def _answered(self, url: str, update: StatusUpdate) -> Answer | None:
        """What a webhook in mid-call is told at once."""
        if fields.query(url).get("after") != "stream" or update.ended:
            return None
        to = self._moved.pop(update.carrier_call_id, None)
        return None if to is None else _verbs(*(_put_through(to) if to else ()))

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Answer, and stream both ways; when that is over `/fallback` says what now."""
        self.base = webhooks_of(media_url)
        listen = {
            "verb": "listen",
            "url": media_url,
            "mixType": "mono",
            "sampleRate": 8000,
            "passDtmf": True,
            "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": 8000},
            "metadata": {"token": token},
            "actionHook": f"{self.base}/fallback?after=stream",
        }
        return _verbs({"verb": "answer"}, listen)

    def apology(self, reason: str) -> Answer:
        """Say what is the matter, where something is, and hang up."""
        if reason == AGAIN:
            return _verbs()
        sentence = said(reason)
        spoken: Sequence[Verb] = [{"verb": "say", "text": sentence}] if sentence else []
        return _verbs(*spoken, {"verb": "hangup"})

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one `listen`; its first message brings the token."""
        return JambonzCodec({})

    async def transfer(self, call: Call, to: str) -> None:
        """Have `to` dialled for the caller as soon as our stream is over and jambonz asks."""
        self._moved[call.offer.carrier_call_id] = to
        if len(self._moved) > MOST_MOVED:
            self._moved.popitem(last=False)

    async def close(self) -> None:
        """Nothing to give back."""

    def _verified(self, webhook: Webhook) -> Mapping[str, Any]:
        header = webhook.headers.get("jambonz-signature", "")
        parts = _SIGNATURE.fullmatch(header)
        if parts is None:
            raise NotAuthentic("no signature")
        if abs(self._clock() - int(parts[1])) > TOLERANCE_S:
            raise NotAuthentic("signed too long ago, or our clocks differ")
        signed = parts[1].encode() + b"." + webhook.body
        ours = hmac.new(self._secret, signed, hashlib.sha256).hexdigest()
        given = parts[2].removeprefix(",v1=").split(",v1=")
        if not any(hmac.compare_digest(ours, one) for one in given):
            raise NotAuthentic("wrong signature")
        if not self._replays.first(f"{webhook.url} {header}"):
            raise NotAuthentic("a request that was here before")
        return fields.json_object(webhook.body)


class JambonzByRest(JambonzCarrier, MeetsInRooms):
    """jambonz with its REST (also `HangsUp`, `TransfersWarm`, `Dials`, `SendsDigits`).

    https://docs.jambonz.org/reference/rest-platform-management (Calls): create 201 with `sid`,
    update 202 or 204, 404 where the call is gone."""

    def __init__(self, settings: JambonzSettings, clock: Callable[[], float] = time.time) -> None:
        JambonzCarrier.__init__(self, settings, clock)
        MeetsInRooms.__init__(self)
        self._settings = settings
        self._opened = OnDemand(self._client)

    async def hang_up(self, call: Call) -> None:
        """End the call at jambonz; one that is over is fine. Raises `CarrierError`."""
        call_id = call.offer.carrier_call_id
        told = await self._update(call_id, {"call_status": "completed"})
        if told not in (200, 202, 204, 404, 410):
            raise CarrierError(f"hang-up refused: {told}")

    async def send_digits(self, call: Call, digits: str) -> None:
        """Key each digit towards the other party. Raises `CarrierError`."""
        for digit in digits.replace("w", ""):
            change = {"dtmf": {"digit": digit, "duration": 250}}
            told = await self._update(call.offer.carrier_call_id, change)
            if told not in (200, 202, 204):
                raise CarrierError(f"digits refused: {told}")

    async def dial(self, call: Call, way: Way) -> str:
        """Ring somebody up; the call hook is asked once they answer. Raises `CarrierError`."""
        if not way.answer_url:
            raise Unable("TELEBOT_PUBLIC_URL is not set: jambonz would not find us")
        return await self._ring(call.offer.phone_from, call.offer.phone_to, way)

    async def ring(self, call: Call, to: str, room: Room, within_s: float) -> str:
        """The person's leg. Raises `CarrierError`."""
        way = self.way_to(room, within_s)
        return await self._ring(call.offer.phone_ours, to, way)

    async def bring(self, call: Call, room: Room) -> None:
        """Give the caller's leg other verbs; its `listen` ends by that, and what it asks then must
        not undo it. Raises `CarrierError`."""
        self._moved[call.offer.carrier_call_id] = ""
        change = {"call_hook": {"url": self.room_url(room, "join"), "method": "POST"}}
        told = await self._update(call.offer.carrier_call_id, change)
        if told not in (200, 202, 204):
            self._moved.pop(call.offer.carrier_call_id, None)
            raise CarrierError(f"transfer refused: {told}")

    async def let_go(self, leg: str) -> None:
        """End the person's leg: one that was answered, or one that rings. Raises `CarrierError`."""
        for status in ("completed", "no-answer"):
            await self._update(leg, {"call_status": status})

    def telling(self, room: Room) -> Answer:
        """Say the summary, then ask again."""
        on = {"verb": "redirect", "actionHook": self.room_url(room, "told")}
        return _verbs({"verb": "say", "text": room.summary}, on)

    def inside(self, room: Room) -> Answer:
        """The conference of that name, until one of them leaves."""
        meeting = {
            "verb": "conference",
            "name": room.name,
            "startConferenceOnEnter": True,
            "endConferenceOnExit": True,
        }
        return _verbs(meeting, {"verb": "hangup"})

    def noted(self) -> Answer:
        """No verbs."""
        return _verbs()

    async def close(self) -> None:
        """Close the REST client's connections, once nobody rings any more."""
        await self.finish()
        await self._opened.close()

    def _answered(self, url: str, update: StatusUpdate) -> Answer | None:
        """Of a leg that is to meet another one, too."""
        query = fields.query(url)
        leg, ended = update.carrier_call_id, update.ended
        room = self.asked(query, leg, ended=ended, reason=update.reason)
        return room or super()._answered(url, update)

    async def _ring(self, caller: str, to: str, way: Way) -> str:
        body = {
            "call_hook": {"url": way.answer_url, "method": "POST"},
            "call_status_hook": {"url": way.status_url, "method": "POST"},
            "from": caller,
            "to": {"type": "phone", "number": to},
            "timeout": round(way.within_s),
        }
        told = await self._opened().ask("POST", self._path(), body, once=True)
        if told.status != 201 or not CALL_ID.fullmatch(told.text("sid")):
            raise CarrierError(f"call refused: {told.status}")
        return told.text("sid")

    async def _update(self, call_id: str, change: Mapping[str, Any]) -> int:
        return (await self._opened().ask("PUT", self._path(call_id), change)).status

    def _path(self, *more: str) -> tuple[str, ...]:
        return ("api", "v1", "Accounts", self._settings.account_sid, "Calls", *more)

    def _client(self) -> JsonRest:
        key = self._settings.api_key.get_secret_value()
        return JsonRest("jambonz", self._settings.base_url, lambda: f"Bearer {key}")


def _put_through(to: str) -> Sequence[Verb]:
    target = {"type": "phone", "number": to}
    return {"verb": "dial", "target": [target]}, {"verb": "hangup"}


def _verbs(*verbs: Verb) -> Answer:
    return Answer(orjson.dumps(verbs).decode(), "application/json")


def _call_id(tree: Mapping[str, Any]) -> str:
    call_id = tree.get("call_sid")
    if not isinstance(call_id, str) or not CALL_ID.fullmatch(call_id):
        raise BadRequest("call_sid is missing or is not one")
    return call_id


def _text(tree: Mapping[str, Any], name: str) -> str:
    value = tree.get(name, "")
    if not isinstance(value, str) or len(value) > fields.MAX_FIELD_CHARS:
        raise BadRequest(f"{name} is no text, or too long")
    return value


def _sip_status(tree: Mapping[str, Any]) -> int:
    status = str(tree.get("sip_status"))
    return int(status) if status.isdecimal() and len(status) == 3 else 0
