"""Whom the phone calls and as whom, and why there may be no call."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}


class CannotCall(Exception):
    """There is no call: the message tells a person why, in one line."""


class CallRefused(CannotCall):
    """The server took the webhook and turned the call away; `said` is what the caller hears."""

    def __init__(self, said: str, verbs: tuple[str, ...]) -> None:
        super().__init__(f"the call was refused: {said or ', '.join(verbs) or 'no answer'}")
        self.said = said


def _sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


@dataclass(frozen=True, slots=True)
class Destination:
    """Whom to call and as whom. `server` is the server's own URL, `public_url` the one it is known
    by to the carrier where that differs; `secret` signs the webhook; `media` is the address of the
    streams (HOST:PORT) of a carrier whose streams are no WebSockets. `placed`: this answers a call
    that the server itself makes, by its id there; the numbers are then from the server to us."""

    server: str
    secret: str
    carrier: str = "local"
    agent: str | None = None
    phone_to: str = "+441632960000"
    phone_from: str = "+441632960961"
    public_url: str | None = None
    media: str = ""
    codec: str = "PCMU"
    placed: str = ""
    call_sid: str = field(default_factory=lambda: _sid("CA"))
    stream_sid: str = field(default_factory=lambda: _sid("MZ"))
    account_sid: str = field(default_factory=lambda: _sid("AC"))

    def webhook(self, name: str = "voice") -> tuple[str, str]:
        """(URL to post to, URL to sign)."""
        named = {"agent": self.agent, "call": self.placed}
        fields = urlencode({key: value for key, value in named.items() if value})
        query = f"?{fields}" if fields else ""
        path = f"/{self.carrier}/{name}{query}"
        return self.server.rstrip("/") + path, (self.public_url or self.server).rstrip("/") + path

    def reached(self, url: str) -> str:
        """Where to ask what the server calls `url`, which may be by the name the carrier knows."""
        known = (self.public_url or self.server).rstrip("/")
        if not url.startswith(known + "/"):
            return url
        return self.server.rstrip("/") + url.removeprefix(known)

    def media_url(self) -> str:
        """Where the media streams of this carrier go, for one that asks no webhook first."""
        return self.server.rstrip("/").replace("http", "ws", 1) + f"/{self.carrier}/media"


def port_of(server: str) -> int:
    """The TCP port of a server's URL. Raises `CannotCall` where it is no http(s) URL."""
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError:
        raise CannotCall(f"{server}: the port cannot be read") from None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise CannotCall(f"{server}: write a URL such as http://127.0.0.1:8080")
    return port or DEFAULT_PORTS[parts.scheme]
