"""Plivo's switch: asks the answer URL, signed as Plivo signs it, and does what its XML says.

XML: https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-guide ;
signatures, version 3: https://www.plivo.com/docs/voice/concepts/signature-validation .
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import aiohttp

from telebot.phone import twiml
from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.microphone import Microphone
from telebot.phone.plivo_stream import PlivoStream
from telebot.phone.twiml import Verb

KINDS = ("text/xml", "application/xml")
VERBS = frozenset({"Stream", "Speak", "Hangup", "Redirect", "Dial", "Wait", "Play"})
STREAM = {
    "bidirectional": "true",
    "keepCallAlive": "true",
    "contentType": "audio/x-mulaw;rate=8000",
}
MAX_URL_CHARS = 2048


class PlivoExchange:
    """An `Exchange` of Plivo's kind."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self.call_id = str(uuid.uuid4())
        self._after: list[Verb] = []

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """The auth token. Raises `CannotCall`."""
        return needed("PLIVO_AUTH_TOKEN", carrier)

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Post the webhook and go where its answer says. Raises `CannotCall`, `CallRefused` where
        the answer has no stream."""
        to = self._to
        verbs = await self._post(session, *to.webhook(), "ringing", "StartApp")
        names = [verb.name for verb in verbs]
        if "Stream" not in names:
            raise CallRefused(_said(verbs), tuple(names))
        at = names.index("Stream")
        stream, self._after = verbs[at], verbs[at + 1 :]
        for name, value in STREAM.items():
            if stream.attributes.get(name) != value:
                raise CannotCall(f"the stream would be of no use: {name} is not {value}")
        url = stream.text.strip()
        if not url.startswith(("ws://", "wss://")) or len(url) > MAX_URL_CHARS:
            raise CannotCall(f"{url[:80]}: this is no stream's URL")
        headers = stream.attributes.get("extraHeaders", "")
        audio = PlivoStream(self.call_id, to.account_sid, headers, microphone)
        return Connection(audio, await open_socket(session, url))

    async def after(self, session: aiohttp.ClientSession) -> str:
        """Go on with what stands behind the stream."""
        said = _said(self._after)
        redirects = [verb.text.strip() for verb in self._after if verb.name == "Redirect"]
        if not redirects:
            return said
        signed_url = urljoin(self._to.webhook()[1], redirects[0])
        url = self._to.reached(signed_url)
        try:
            verbs = await self._post(session, url, signed_url, "in-progress", "Redirect")
        except CannotCall:
            return "Sorry, the call cannot be completed."
        return _said(verbs)

    async def _post(
        self,
        session: aiohttp.ClientSession,
        url: str,
        signed_url: str,
        *about: str,
    ) -> list[Verb]:
        to, (status, event) = self._to, about
        form = {
            "CallUUID": self.call_id,
            "CallStatus": status,
            "Direction": "inbound",
            "Event": event,
            "From": to.phone_from,
            "To": to.phone_to,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **signed(to.secret, signed_url, form),
        }
        body = urlencode(form).encode()
        answer = await ask(session, "POST", url, headers=headers, body=body, kinds=KINDS)
        try:
            verbs = twiml.verbs_of(answer)
        except twiml.BadTwiml as error:
            raise CannotCall(f"{url}: {error}") from None
        if unknown := {verb.name for verb in verbs} - VERBS:
            raise CannotCall(f"{url}: Plivo does not know <{unknown.pop()}>")
        return verbs


def signed(
    token: str, url: str, form: Mapping[str, str] | None = None, nonce: str = ""
) -> dict[str, str]:
    """The headers of a request; `form` where something is posted."""
    nonce = nonce or secrets.token_hex(16)
    parts = urlsplit(url)
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    asked = [
        f"{name}={value}"
        for name, values in sorted(parse_qs(parts.query, keep_blank_values=True).items())
        for value in sorted(values)
    ]
    if asked or form:
        base += "?" + "&".join(asked)
    if asked and form:
        base += "."
    base += "".join(name + value for name, value in sorted((form or {}).items()))
    made = hmac.new(token.encode(), f"{base}.{nonce}".encode(), hashlib.sha256).digest()
    return {
        "X-Plivo-Signature-V3": base64.b64encode(made).decode(),
        "X-Plivo-Signature-V3-Nonce": nonce,
    }


def _said(verbs: list[Verb]) -> str:
    return " ".join(verb.text.strip() for verb in verbs if verb.name == "Speak")
