"""What the carriers have in common that are a PBX: its dialplan speaks to us by forms, or only by
the stream itself.

`POST /{carrier}/voice` with `id`, `from`, `to` and perhaps `agent` is answered with the stream's
token, as plain text, and with nothing and 503 where the call is refused; `/status` takes `id` and
`status`, the dialplan's own word for it (Asterisk's ``DIALSTATUS``, FreeSWITCH's hang-up cause). A
stream that brings no token offers the call by the same names in its URL. Who may do so is
`door.py`'s matter. Next: `web/webhooks.py`, `web/media_stream.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from telebot.call.errors import BadRequest
from telebot.call.events import Started
from telebot.call.model import Call, CallOffer
from telebot.carriers.door import Door
from telebot.carriers.port import Answer, StatusUpdate, Webhook

MAX_FIELDS = 64
MAX_CHARS = 256
MAX_URL_CHARS = 8192
CALL_ID = re.compile(r"[A-Za-z0-9_.:@-][A-Za-z0-9_.:/@-]{0,127}")

# by what a PBX calls it: the termination reason of a call that nobody had answered
REASONS = {
    "busy": "busy",
    "user_busy": "busy",
    "noanswer": "no_answer",
    "no_answer": "no_answer",
    "no_user_response": "no_answer",
    "originator_cancel": "cancelled",
    "cancel": "cancelled",
    "call_rejected": "declined",
    "dontcall": "declined",
    "torture": "declined",
    "congestion": "unreachable",
    "chanunavail": "unreachable",
    "unallocated_number": "unreachable",
    "no_route_destination": "unreachable",
    "destination_out_of_order": "unreachable",
    "user_not_registered": "unreachable",
    "subscriber_absent": "unreachable",
    "normal_temporary_failure": "unreachable",
    "network_out_of_order": "unreachable",
    "recovery_on_timer_expire": "unreachable",
}
OVER = frozenset({"answer", "hangup", "normal_clearing", *REASONS})


class DialplanCarrier:
    """What a PBX is that `AnswersWebhooks` and `OffersOnMedia`; a subclass says its name and how
    its stream is read."""

    name = ""
    subprotocols: tuple[str, ...] = ()

    def __init__(self, door: Door) -> None:
        self.door = door

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify and read a form. Raises `NotAuthentic` or `BadRequest`."""
        self.door.check(webhook)
        fields = query(webhook.url) | _form(webhook)
        return offer_of(self.name, fields.get("id", ""), fields)

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify and read what became of a call. Raises as `parse_offer`."""
        self.door.check(webhook)
        fields = query(webhook.url) | _form(webhook)
        status = fields.get("status", "")
        word = status.lower()
        return StatusUpdate(fields.get("id", ""), status, word in OVER, REASONS.get(word, ""))

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """The token, which the dialplan puts into the stream's URL."""
        return Answer(token, "text/plain")

    def apology(self, reason: str) -> Answer:
        """Nothing: what the caller hears is the dialplan's."""
        return Answer("", "text/plain", status=503)

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """A stream without a token: its parameters offer the call. Raises `NotAuthentic` or
        `BadRequest`."""
        self.door.check(request)
        return offer_of(self.name, started.carrier_call_id, started.parameters)

    async def close(self) -> None:
        """Nothing to give back."""


def offer_of(carrier: str, call_id: str, fields: Mapping[str, str]) -> CallOffer:
    """A call by a dialplan's names for it. Raises `BadRequest`."""
    if not CALL_ID.fullmatch(call_id):
        raise BadRequest("id is missing or is not one")
    return CallOffer(
        carrier=carrier,
        carrier_call_id=call_id,
        phone_from=_short(fields, "from"),
        phone_to=_short(fields, "to"),
        agent=_short(fields, "agent") or None,
    )


def query(url: str) -> dict[str, str]:
    """The parameters of a URL; of a repeated one the last. Raises `BadRequest`."""
    if len(url) > MAX_URL_CHARS:
        raise BadRequest("the URL is too long")
    try:
        return dict(
            parse_qsl(urlsplit(url).query, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        )
    except ValueError:
        raise BadRequest("the URL cannot be read") from None


def _form(webhook: Webhook) -> dict[str, str]:
    try:
        text = webhook.body.decode("utf-8")
        return dict(
            parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        )
    except ValueError:
        raise BadRequest("the body is no form") from None


def _short(fields: Mapping[str, str], name: str) -> str:
    value = fields.get(name, "")
    if len(value) > MAX_CHARS:
        raise BadRequest(f"{name} is too long")
    return value
