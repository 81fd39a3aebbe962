"""What the carriers that speak TwiML share: signed webhooks in, TwiML out, media streams between.

Signatures are checked by twilio's own `RequestValidator`; see
https://www.twilio.com/docs/usage/webhooks/webhooks-security and, for the answers,
https://www.twilio.com/docs/voice/twiml/stream . Next: `web/webhooks.py`.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit

from multidict import MultiDict
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from telebot.call.errors import BadRequest, NotAuthentic
from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.carriers.fields import (
    FORM,
    JSON,
    MAX_FIELD_CHARS,
    Fields,
    agent,
    content_type,
    field,
    form,
    json_fields,
)
from telebot.carriers.media_streams import MediaStreamCodec
from telebot.carriers.port import Answer, StatusUpdate, Webhook, webhooks_of
from telebot.carriers.sentences import AGAIN, said

ENDED_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
# of calls that we made: https://www.twilio.com/docs/voice/api/call-resource#call-status-values
REASONS = {
    "busy": "busy",
    "no-answer": "no_answer",
    "canceled": "cancelled",
    "failed": "unreachable",
}
DECLINED = "603"  # RFC 3261 section 21.6.2; told in SipResponseCode

# Twilio's are CA and 32 hex digits; all we need is that the id can stand in a path and a record
_CALL_SID = re.compile(r"CA[0-9A-Za-z]{1,62}")


class TwimlCarrier:
    """What a `Carrier` is that `AnswersWebhooks` and `StreamsMedia`; a subclass says its name."""

    name = ""
    subprotocols = ()

    def __init__(self, secret: str) -> None:
        self._validator = RequestValidator(secret)

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify a voice webhook and read the call. Raises `NotAuthentic` or `BadRequest`."""
        fields = self._verified(webhook)
        call_id = field(fields, "CallSid")
        if not _CALL_SID.fullmatch(call_id):
            raise BadRequest("CallSid is missing or is not one")
        self._offered(fields)
        outbound = field(fields, "Direction").startswith("outbound")
        return CallOffer(
            carrier=self.name,
            carrier_call_id=call_id,
            phone_from=field(fields, "From"),
            phone_to=field(fields, "To"),
            agent=agent(webhook.url),
            direction="outbound" if outbound else "inbound",
        )

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify a status or fallback webhook. Whatever is signed is readable: what it does not
        say is empty. Raises `NotAuthentic` or `BadRequest`, the latter for bodies no signature can
        cover."""
        fields = self._verified(webhook)
        status = fields.get("CallStatus", "")[:MAX_FIELD_CHARS]
        call_id = fields.get("CallSid", "")[:MAX_FIELD_CHARS]
        reason = REASONS.get(status, "")
        if reason and fields.get("SipResponseCode") == DECLINED:
            reason = "declined"
        return StatusUpdate(call_id, status, status in ENDED_STATUSES, reason)

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Connect to the media stream. When the stream is over while the caller still is there,
        the carrier asks `/fallback`, which knows whether that was meant."""
        response = VoiceResponse()
        stream = response.connect().stream(url=media_url)
        stream.parameter(name="token", value=token)
        after = f"{webhooks_of(media_url)}/fallback?after=stream"
        response.redirect(after, method="POST")
        return _twiml(response)

    def apology(self, reason: str) -> Answer:
        """Say what is the matter, where something is, and hang up. To a webhook that was delivered
        again (by a proxy: Twilio itself tries again only where no answer came) nothing is said."""
        response = VoiceResponse()
        if reason == AGAIN:
            return _twiml(response)
        if sentence := said(reason):
            response.say(sentence)
        response.hangup()
        return _twiml(response)

    def codec(self, request: Webhook) -> MediaCodec:
        """A codec for one media stream; its `start` brings the token, the upgrade nothing."""
        return MediaStreamCodec()

    async def close(self) -> None:
        """Nothing to give back."""

    def _offered(self, fields: Fields) -> None:
        """What else a carrier reads of an offer."""

    def _check_origin(self, webhook: Webhook) -> None:
        """Raises `NotAuthentic` on a request from where this carrier cannot be."""

    def _verified(self, webhook: Webhook) -> Fields:
        signature = webhook.headers.get("x-twilio-signature", "")
        if not signature:
            raise NotAuthentic("no signature")
        self._check_origin(webhook)
        fields, signed = _body(webhook)
        try:
            valid = self._validator.validate(webhook.url, signed, signature)
        except ValueError:  # a port or a character no URL has
            valid = False
        if not valid:
            raise NotAuthentic("wrong signature")
        return fields


def _body(webhook: Webhook) -> tuple[Fields, Fields | str]:
    """The fields of a request, and what of its body the signature covers: the form's fields, or
    any other body whole, by the hash in the URL's `bodySHA256`."""
    kind = content_type(webhook)
    try:
        text = webhook.body.decode("utf-8")
        if kind == FORM or not text:
            fields = form(text)
            return fields, fields
        if "bodySHA256" not in parse_qs(urlsplit(webhook.url).query):
            raise NotAuthentic("a body that the signature does not cover")
        return json_fields(text) if kind == JSON else MultiDict(), text
    except ValueError as error:
        raise BadRequest("the body is not what its content type says") from error


def _twiml(response: VoiceResponse) -> Answer:
    return Answer(str(response), "text/xml")
