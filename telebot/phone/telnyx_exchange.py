"""Telnyx's switch: asks the voice webhook, signed as Telnyx signs it, where the audio goes.

TeXML: https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream , which is
TwiML with attributes of its own; the signature is Ed25519 over ``timestamp|body``. Telnyx alone has
the key that signs, so a try-out needs a pair of its own: `TELNYX_PRIVATE_KEY` for the phone, the
public half for the server (docs/carriers/telnyx.md).
"""

from __future__ import annotations

import base64
import binascii
import secrets
import time
from urllib.parse import urlencode, urljoin

import aiohttp
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from telebot.phone import twiml
from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.microphone import Microphone
from telebot.phone.telnyx_stream import TelnyxStream

KEY = "TELNYX_PRIVATE_KEY"
BIDIRECTIONAL = {"bidirectionalMode": "rtp", "bidirectionalCodec": "PCMU", "codec": "PCMU"}


class TelnyxExchange:
    """An `Exchange` of Telnyx's kind."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self.answer: twiml.Answer | None = None

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """The signing key (base64 of 32 bytes). Raises `CannotCall`."""
        return needed(KEY, carrier)

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Post the webhook and go where its answer says. Raises `CannotCall`, `CallRefused` where
        the answer has no media stream."""
        to = self._to
        self.answer = answer = await self._post(session, to.webhook()[0], "ringing")
        if answer.url is None:
            raise CallRefused(answer.said, answer.after)
        missing = {
            name: value
            for name, value in BIDIRECTIONAL.items()
            if answer.attributes.get(name) != value
        }
        if missing:
            raise CannotCall(f"the stream would not be both ways in mu-law: it lacks {missing}")
        stream = TelnyxStream(
            to.call_sid,
            answer.parameters,
            microphone,
            phone_from=to.phone_from,
            phone_to=to.phone_to,
        )
        return Connection(stream, await open_socket(session, answer.url))

    async def after(self, session: aiohttp.ClientSession) -> str:
        """Ask what now, as ``<Redirect>`` demands."""
        if self.answer is None or self.answer.redirect is None:
            return ""
        url = self._to.reached(urljoin(self._to.webhook()[1], self.answer.redirect))
        try:
            return (await self._post(session, url, "in-progress")).said
        except CannotCall:
            return "An application error has occurred. Goodbye."

    async def _post(self, session: aiohttp.ClientSession, url: str, status: str) -> twiml.Answer:
        to = self._to
        body = urlencode(
            {
                "AccountSid": to.account_sid,
                "CallSid": to.call_sid,
                "CallStatus": status,
                "ConnectionId": secrets.token_hex(8),
                "Direction": "inbound",
                "From": to.phone_from,
                "To": to.phone_to,
            }
        ).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            **signed(to.secret, body, int(time.time())),
        }
        kinds = ("text/xml", "application/xml")
        answer = await ask(session, "POST", url, headers=headers, body=body, kinds=kinds)
        try:
            return twiml.parse(answer)
        except twiml.BadTwiml as error:
            raise CannotCall(f"{url}: {error}") from None


def signed(secret: str, body: bytes, at: int) -> dict[str, str]:
    """The headers of a webhook sent at `at` (seconds since 1970). Raises `CannotCall`."""
    try:
        key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(secret, validate=True))
    except (binascii.Error, ValueError):
        raise CannotCall(f"{KEY} must be the base64 of an Ed25519 key's 32 bytes") from None
    signature = key.sign(b"%d|%s" % (at, body))
    return {
        "telnyx-timestamp": str(at),
        "telnyx-signature-ed25519": base64.b64encode(signature).decode(),
    }
