"""Twilio's switch: asks the voice webhook, signed as Twilio signs it, where the audio goes.

Signing: https://www.twilio.com/docs/usage/security . The stream is `twilio_stream.py`'s.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlencode, urljoin

import aiohttp

from telebot.phone import twiml
from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination, port_of
from telebot.phone.environment import needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.microphone import Microphone
from telebot.phone.twilio_stream import StreamIds, TwilioStream


class TwilioExchange:
    """An `Exchange` of Twilio's kind, this machine's own carrier too."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self.answer: twiml.Answer | None = None

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """The secret of this machine's server, or the Twilio auth token. Raises `CannotCall`."""
        if carrier == "twilio":
            return needed("TWILIO_AUTH_TOKEN", carrier)
        from telebot.call.local_access import discover

        secret = discover(port_of(server), os.environ) or _data_secret()
        if not secret:
            raise CannotCall(
                f"no server of this machine has left its secret for port {port_of(server)}; "
                "is it running, and is TELEBOT_DATA its data folder?"
            )
        return secret

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Post the webhook and go where its answer says. Raises `CannotCall`, `CallRefused` where
        the answer has no media stream."""
        to = self._to
        self.answer = answer = await _post(session, to, *to.webhook(), _form(to))
        if answer.url is None:
            raise CallRefused(answer.said, answer.after)
        ids = StreamIds(to.stream_sid, to.call_sid, to.account_sid)
        stream = TwilioStream(ids, answer.parameters, microphone)
        return Connection(stream, await open_socket(session, answer.url))

    async def after(self, session: aiohttp.ClientSession) -> str:
        """Ask what now, as ``<Redirect>`` demands."""
        if self.answer is None or self.answer.redirect is None:
            return ""
        to = self._to
        signed_url = urljoin(to.webhook()[1], self.answer.redirect)
        url = to.reached(signed_url)
        try:
            return (await _post(session, to, url, signed_url, _form(to, "in-progress"))).said
        except CannotCall:
            return "An application error has occurred. Goodbye."  # Twilio's own words for it


def _form(to: Destination, status: str = "ringing") -> dict[str, str]:
    """What Twilio posts about a call."""
    return {
        "AccountSid": to.account_sid,
        "ApiVersion": "2010-04-01",
        "CallSid": to.call_sid,
        "CallStatus": status,
        "Called": to.phone_to,
        "Caller": to.phone_from,
        "Direction": "outbound-api" if to.placed else "inbound",
        "From": to.phone_from,
        "To": to.phone_to,
    }


def signature(secret: str, url: str, form: Mapping[str, str]) -> str:
    """The value of ``X-Twilio-Signature``."""
    from twilio.request_validator import RequestValidator

    return str(RequestValidator(secret).compute_signature(url, dict(form)))


def _data_secret() -> str:
    from telebot.call.local_access import SECRET_FILE

    try:
        path = Path(os.environ.get("TELEBOT_DATA") or "data") / SECRET_FILE
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


async def _post(
    session: aiohttp.ClientSession, to: Destination, url: str, signed_url: str, form: dict[str, str]
) -> twiml.Answer:
    headers = {
        "X-Twilio-Signature": signature(to.secret, signed_url, form),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    body = await ask(
        session,
        "POST",
        url,
        headers=headers,
        body=urlencode(form).encode(),
        kinds=("text/xml", "application/xml"),
    )
    try:
        return twiml.parse(body)
    except twiml.BadTwiml as error:
        raise CannotCall(f"{url}: {error}") from None
