"""The carrier of this machine: `telebot call` and the tests, over Twilio's wire.

Taken from loopback alone, by a Host that is loopback, without any proxy between, and signed with a
secret that only this user can read (`call/local_access.py`). There is no REST: closing the media
stream is hanging up.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import Self
from urllib.parse import urlsplit

from telebot.call.errors import NotAuthentic
from telebot.call.local_access import load_secret
from telebot.carriers.port import Webhook
from telebot.carriers.twiml import TwimlCarrier
from telebot.settings import Settings


class LocalCarrier(TwimlCarrier):
    """Calls from this machine (a `Carrier`). Its own URL is the request's Host, whatever the
    public URL is."""

    name = "local"
    by_host = True

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Built by the registry; makes the secret where there is none."""
        return cls(load_secret(settings.server.data))

    def off(self) -> str | None:
        """Always on: it lets nobody in from elsewhere."""
        return None

    def _check_origin(self, webhook: Webhook) -> None:
        try:
            host = urlsplit(webhook.url).hostname or ""
        except ValueError:
            host = ""
        if webhook.forwarded or not _loopback(webhook.peer) or not _loopback(host):
            raise NotAuthentic("only this machine itself may call here")


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
