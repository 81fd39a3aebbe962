"""Exotel's flow, as far as it matters here: a Voicebot applet with an HTTPS address, and a Connect
applet behind it.

https://developer.exotel.com/docs/agentstream/stream-voicebot-applet . Nothing is signed; the URLs
carry a user and a password (HTTP Basic), which go along with the stream's upgrade too.
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qsl, urlencode, urlsplit

import aiohttp
import orjson

from telebot.phone.asking import ask
from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.environment import given, needed
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.exotel_stream import ExotelStream
from telebot.phone.microphone import Microphone

MAX_PARAMETERS, MAX_PARAMETER_CHARS = 3, 256


class ExotelExchange:
    """An `Exchange` of Exotel's kind."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self.call_id = secrets.token_hex(16)
        self._login: dict[str, str] = {}
        if to.secret:
            user, _, password = to.secret.partition(":")
            self._login["Authorization"] = aiohttp.encode_basic_auth(user, password)

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """User and password of the flow's URLs. Raises `CannotCall`."""
        return f"{given('EXOTEL_API_KEY')}:{needed('EXOTEL_API_TOKEN', carrier)}"

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Ask where the stream goes, and open it. Raises `CannotCall`, `CallRefused`."""
        to = self._to
        tree = await self._get(session, to.webhook()[0])
        url = tree.get("url")
        if not isinstance(url, str):
            raise CallRefused("", ())
        parameters = dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))
        length = sum(len(name) + len(value) + 2 for name, value in parameters.items())
        if len(parameters) > MAX_PARAMETERS or length > MAX_PARAMETER_CHARS:
            raise CannotCall(f"{url[:80]}: more parameters than Exotel takes")
        numbers = (to.phone_from, to.phone_to)
        stream = ExotelStream(self.call_id, numbers, parameters, microphone)
        return Connection(stream, await open_socket(session, url, headers=self._login))

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The stream is over: the Connect applet asks whom to dial."""
        url = self._to.webhook("fallback")[0]
        try:
            destination = (await self._get(session, url)).get("destination")
        except CannotCall:
            return ""
        numbers = destination.get("numbers") if isinstance(destination, dict) else None
        return f"Dialling {', '.join(numbers)}." if numbers else ""

    async def _get(self, session: aiohttp.ClientSession, url: str) -> dict[str, object]:
        to = self._to
        query = urlencode(
            {
                "CallSid": self.call_id,
                "CallFrom": to.phone_from,
                "CallTo": to.phone_to,
                "Direction": "incoming",
            }
        )
        asked = f"{url}{'&' if '?' in url else '?'}{query}"
        body = await ask(session, "GET", asked, headers=self._login, kinds=("application/json",))
        try:
            tree = orjson.loads(body)
        except ValueError:
            tree = None
        if not isinstance(tree, dict):
            raise CannotCall(f"{url}: answered with something that is no JSON object")
        return tree
