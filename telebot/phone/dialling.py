"""Dials: asks the server's voice webhook, signed as the carrier signs it, where the audio goes.

The media stream itself is `line.py`'s. Signing: https://www.twilio.com/docs/usage/security.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

import aiohttp

from telebot.phone import twiml
from telebot.phone.stream import StreamIds

ANSWER_TIMEOUT_S = 15.0  # as long as Twilio waits for a webhook
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
    by to the carrier where that differs; `secret` signs the webhook."""

    server: str
    secret: str
    carrier: str = "local"
    agent: str | None = None
    phone_to: str = "+441632960000"
    phone_from: str = "+441632960961"
    public_url: str | None = None
    call_sid: str = field(default_factory=lambda: _sid("CA"))
    stream_sid: str = field(default_factory=lambda: _sid("MZ"))
    account_sid: str = field(default_factory=lambda: _sid("AC"))

    @property
    def ids(self) -> StreamIds:
        return StreamIds(self.stream_sid, self.call_sid, self.account_sid)

    def webhook(self, name: str = "voice") -> tuple[str, str]:
        """(URL to post to, URL to sign)."""
        query = "?" + urlencode({"agent": self.agent}) if self.agent else ""
        path = f"/{self.carrier}/{name}{query}"
        return self.server.rstrip("/") + path, (self.public_url or self.server).rstrip("/") + path

    def form(self, status: str = "ringing") -> dict[str, str]:
        """What Twilio posts about a call."""
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": status,
            "Called": self.phone_to,
            "Caller": self.phone_from,
            "Direction": "inbound",
            "From": self.phone_from,
            "To": self.phone_to,
        }


def signature(secret: str, url: str, form: Mapping[str, str]) -> str:
    """The value of ``X-Twilio-Signature``."""
    from twilio.request_validator import RequestValidator

    return str(RequestValidator(secret).compute_signature(url, dict(form)))


def secret_for(server: str, carrier: str) -> str:
    """The secret of this machine's server, or the Twilio auth token. Raises `CannotCall`."""
    if carrier == "twilio":
        token = os.environ.get("TWILIO_AUTH_TOKEN", "")
        if not token:
            raise CannotCall("--carrier twilio signs with TWILIO_AUTH_TOKEN, which is not set")
        return token
    from telebot.call.local_access import discover

    secret = discover(port_of(server), os.environ) or _data_secret()
    if not secret:
        raise CannotCall(
            f"no server of this machine has left its secret for port {port_of(server)}; "
            "is it running, and is TELEBOT_DATA its data folder?"
        )
    return secret


def _data_secret() -> str:
    from telebot.call.local_access import SECRET_FILE

    try:
        path = Path(os.environ.get("TELEBOT_DATA") or "data") / SECRET_FILE
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def port_of(server: str) -> int:
    """The TCP port of a server's URL. Raises `CannotCall` where it is no http(s) URL."""
    try:
        parts = urlsplit(server)
        port = parts.port
    except ValueError:
        raise CannotCall(f"{server}: the port cannot be read") from None
    if parts.scheme in ("sip", "sips"):
        raise CannotCall("SIP calls come with the SIP trunk, which this version does not have yet")
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise CannotCall(f"{server}: write a URL such as http://127.0.0.1:8080")
    return port or DEFAULT_PORTS[parts.scheme]


async def dial(session: aiohttp.ClientSession, to: Destination) -> twiml.Answer:
    """Post the webhook and read the answer. Raises `CannotCall`, `CallRefused` where the answer has
    no media stream."""
    answer = await _post(session, to, *to.webhook(), to.form())
    if answer.url is None:
        raise CallRefused(answer.said, answer.after)
    return answer


async def after_stream(session: aiohttp.ClientSession, to: Destination, url: str) -> str:
    """The stream is over and the caller still there: ask what now, as ``<Redirect>`` demands. What
    the caller is told then; '' where the call just ends."""
    known = (to.public_url or to.server).rstrip("/")
    signed_url = urljoin(to.webhook()[1], url)
    ours = signed_url.startswith(known + "/")
    posted = to.server.rstrip("/") + signed_url.removeprefix(known) if ours else signed_url
    try:
        return (await _post(session, to, posted, signed_url, to.form("in-progress"))).said
    except CannotCall:
        return "An application error has occurred. Goodbye."  # Twilio's own words for it


async def _post(
    session: aiohttp.ClientSession, to: Destination, url: str, signed_url: str, form: dict[str, str]
) -> twiml.Answer:
    headers = {"X-Twilio-Signature": signature(to.secret, signed_url, form)}
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            async with session.post(url, data=form, headers=headers) as response:
                status, kind = response.status, response.content_type
                body = await _read(response)
    except TimeoutError:
        raise CannotCall(f"{url}: no answer in {ANSWER_TIMEOUT_S:.0f} s") from None
    except aiohttp.ClientConnectorError as error:
        why = error.strerror or error.os_error
        raise CannotCall(f"{url}: cannot connect ({why}); is the server running?") from None
    except aiohttp.ClientError as error:
        raise CannotCall(f"{url}: {error}") from None
    if status != 200:
        raise CannotCall(f"{url}: HTTP {status}{_why(status)}")
    if kind not in ("text/xml", "application/xml"):
        raise CannotCall(f"{url}: answered with {kind}, not with TwiML")
    try:
        return twiml.parse(body)
    except twiml.BadTwiml as error:
        raise CannotCall(f"{url}: {error}") from None


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The body, up to one byte more than an answer may have."""
    body = bytearray()
    async for chunk in response.content.iter_chunked(16 * 1024):
        body += chunk
        if len(body) > twiml.MAX_TWIML_BYTES:
            break
    return bytes(body)


def _why(status: int) -> str:
    reasons = {
        403: "; the signature was not accepted",
        404: "; it takes no calls of this carrier",
    }
    return reasons.get(status, "")
