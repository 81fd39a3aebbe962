"""Asterisk's switch: dials the server's media socket as `chan_websocket` does.

https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ : credentials by HTTP Basic from
`websocket_client.conf`, the dial string's `v()` as the URL's query, subprotocol ``media``. The
stream is `asterisk_stream.py`'s.
"""

from __future__ import annotations

import time
from urllib.parse import urlencode

import aiohttp

from telebot.phone.asterisk_stream import AsteriskStream
from telebot.phone.destination import Destination
from telebot.phone.environment import given
from telebot.phone.exchange import Connection, open_socket
from telebot.phone.form import about, basic
from telebot.phone.microphone import Microphone


class AsteriskExchange:
    """An `Exchange` whose dialplan hands the call over with the stream itself."""

    json = True  # the control format, an option of the dial string

    def __init__(self, to: Destination) -> None:
        self._to = to

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """``user:password``, '' where the server lets its peers in without."""
        password = given("ASTERISK_PASSWORD")
        return f"{given('ASTERISK_USER')}:{password}" if password else ""

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Open the stream. Raises `CannotCall`."""
        to = self._to
        unique_id = f"{int(time.time())}.{to.call_sid[-6:]}"
        told = urlencode(about(to, unique_id))
        stream = AsteriskStream(unique_id, microphone, json=self.json)
        wire = await open_socket(
            session, f"{to.media_url()}?{told}", headers=basic(to.secret), protocols=("media",)
        )
        return Connection(stream, wire)

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The dialplan goes on behind its `Dial`; nothing is said."""
        return ""
