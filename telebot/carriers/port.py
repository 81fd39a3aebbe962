"""What a carrier is to the rest of the house: a name, and the abilities that its file has.

Abilities are Protocols, asked for by `isinstance`: here those by which calls come in
(`AnswersWebhooks`, `StreamsMedia`, `OffersOnMedia`), in `call/ports.py` those by which calls are
moved (`HangsUp`, `Transfers`, `TransfersWarm`, `Dials`, `SendsDigits`). `web/` hands webhooks in
and answers out; a codec turns the media wire into `call/events.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from telebot.call.events import MediaCodec, Started
from telebot.call.model import Call, CallOffer
from telebot.settings import Settings


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request of a carrier, as it was before any trusted proxy.

    Also the upgrade of its media socket (``GET``, no body). `url` is the public URL the carrier
    used, query included; header names are lower case;
    `peer` is the address of the party that spoke to us, or whom a trusted proxy names;
    `forwarded` tells that any forwarded header was there, believed or not."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    forwarded: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """What the carrier is told, in its own language."""

    body: str
    content_type: str
    status: int = 200


def webhooks_of(media_url: str) -> str:
    """The URL of a carrier's webhooks (without the last part), given that of its media socket."""
    return media_url.removesuffix("/media").replace("ws", "http", 1)


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A carrier's word on a call; `ended` when it is over for the carrier, `reason` then the
    termination reason of a call that nobody had answered (``busy``, ``no_answer``, ``declined``,
    ``unreachable``), where the carrier tells them apart. `answer`: what the carrier is told at
    once, because it asks in mid-call and nothing is over; only to `/fallback`."""

    carrier_call_id: str
    status: str
    ended: bool
    reason: str = ""
    answer: Answer | None = None


@runtime_checkable
class Carrier(Protocol):
    """One carrier or PBX. Built by the registry from the settings; owns its REST client."""

    name: str

    def off(self) -> str | None:
        """Why this carrier takes no calls (``TWILIO_AUTH_TOKEN is not set``), or None."""
        ...

    async def close(self) -> None:
        """Give the REST client back."""
        ...


@runtime_checkable
class AnswersWebhooks(Carrier, Protocol):
    """A carrier that asks by HTTP what to do with a call."""

    def parse_offer(self, webhook: Webhook) -> CallOffer:
        """Verify and read the call. Raises `NotAuthentic` (403) or `BadRequest` (4xx)."""
        ...

    def parse_status(self, webhook: Webhook) -> StatusUpdate:
        """Verify and read a status callback. Raises as `parse_offer`."""
        ...

    def answer(self, call: Call, token: str, media_url: str) -> Answer:
        """Connect the call to our media stream, and what to do if that ends early."""
        ...

    def apology(self, reason: str) -> Answer:
        """A spoken refusal or apology that ends the call; `reason` is a termination reason, or
        ``duplicate``: the call is up already, and nothing may happen to it."""
        ...


@runtime_checkable
class AsksByGet(AnswersWebhooks, Protocol):
    """A carrier whose webhooks may come by GET, with what they say in the query."""

    asks_by_get: bool


@runtime_checkable
class StreamsMedia(Carrier, Protocol):
    """A carrier whose audio comes by WebSocket. `subprotocols` are those of its upgrade, if any."""

    subprotocols: tuple[str, ...]

    def codec(self, request: Webhook) -> MediaCodec:
        """A fresh codec for one media stream, by the request that opened it. Raises `NotAuthentic`
        where the request itself already shows that it may not."""
        ...


@runtime_checkable
class OffersOnMedia(StreamsMedia, Protocol):
    """A carrier without webhooks, or with a switch for them: a stream that brings no token offers
    the call itself."""

    def offer(self, request: Webhook, started: Started) -> CallOffer:
        """Verify and read the call. Raises `NotAuthentic` or `BadRequest`."""
        ...


@runtime_checkable
class HasTrunks(Protocol):
    """A carrier with several ways out, each by its name (`CallOffer.trunk`)."""

    @property
    def trunks(self) -> Collection[str]: ...


class CarrierClass(Protocol):
    """What the registry builds a carrier from."""

    def from_settings(self, settings: Settings) -> Carrier: ...


@runtime_checkable
class OnThisMachine(Protocol):
    """A carrier that never leaves this machine: its URL is the request's own Host, whatever the
    public URL is."""

    by_host: bool
