"""What a carrier is to the rest of the house: six methods, and optional abilities beside them.

`web/` hands webhooks in and answers out; the codec turns the media wire into `call/events.py`.
Optional abilities are the Protocols `HangsUp` and `Transfers` of `call/ports.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from telebot.call.events import MediaCodec
from telebot.call.model import Call, CallOffer
from telebot.settings import Settings


@dataclass(frozen=True, slots=True)
class Webhook:
    """One request of a carrier, as it was before any trusted proxy.

    `url` is the public URL the carrier used, query included; header names are lower case;
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


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """A carrier's word on a call; `ended` when it is over for the carrier."""

    carrier_call_id: str
    status: str
    ended: bool


class Carrier(Protocol):
    """One carrier or PBX. Built by the registry from the settings; owns its REST client."""

    name: str

    def off(self) -> str | None:
        """Why this carrier takes no calls (``TWILIO_AUTH_TOKEN is not set``), or None."""
        ...

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

    def codec(self) -> MediaCodec:
        """A fresh codec for one media stream."""
        ...

    async def close(self) -> None:
        """Give the REST client back."""
        ...


class CarrierClass(Protocol):
    """What the registry builds a carrier from."""

    def from_settings(self, settings: Settings) -> Carrier: ...


@runtime_checkable
class OnThisMachine(Protocol):
    """A carrier that never leaves this machine: its URL is the request's own Host, whatever the
    public URL is."""

    by_host: bool
