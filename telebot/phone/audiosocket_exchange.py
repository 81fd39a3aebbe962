"""A PBX that fetches an identity and then opens an AudioSocket, as Asterisk's dialplan does.

https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/ . The stream is
`audiosocket_stream.py`'s.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit
from uuid import UUID

import aiohttp

from telebot.phone.audiosocket_stream import AudioSocketStream
from telebot.phone.destination import CannotCall, Destination
from telebot.phone.environment import given
from telebot.phone.exchange import Connection
from telebot.phone.form import ask
from telebot.phone.microphone import Microphone
from telebot.phone.stream import Message

DEFAULT_PORT = 9092
CONNECT_TIMEOUT_S = 2.0  # MAX_CONNECT_TIMEOUT_MSEC of res_audiosocket.c
CLOSE_TIMEOUT_S = 3.0
HEADER = 3


class AudioSocketExchange:
    """An `Exchange` over HTTP and TCP."""

    announces = True  # the dialplan fetches an identity first

    def __init__(self, to: Destination) -> None:
        self._to = to

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """``user:password`` of the webhooks, '' where the server lets its peers in without."""
        password = given("AUDIOSOCKET_PASSWORD")
        return f"{given('AUDIOSOCKET_USER')}:{password}" if password else ""

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Fetch the identity, open the connection. Raises `CannotCall`, `CallRefused`."""
        to = self._to
        identity = UUID(hex=to.call_sid[-32:])
        if self.announces:
            answer = await ask(session, to, f"{int(time.time())}.{to.call_sid[-6:]}")
            try:
                identity = UUID(answer)
            except ValueError:
                raise CannotCall(f"{answer[:60]!r} is no UUID") from None
        wire = await _connect(_address(to))
        return Connection(AudioSocketStream(identity, microphone), wire)

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The dialplan goes on behind `AudioSocket()`; nothing is said."""
        return ""


class PacketWire:
    """A `Wire` of packets over TCP."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close_code: int | None = None

    async def messages(self) -> AsyncIterator[Message]:
        while True:
            try:
                header = await self._reader.readexactly(HEADER)
                payload = await self._reader.readexactly(int.from_bytes(header[1:]))
            except (asyncio.IncompleteReadError, ConnectionError) as error:
                cut = isinstance(error, ConnectionError) or error.partial
                self.close_code = 1006 if cut else 1000
                return
            yield header + payload

    async def send(self, message: Message) -> None:
        self._writer.write(message.encode() if isinstance(message, str) else message)
        await self._writer.drain()

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(self._writer.wait_closed(), CLOSE_TIMEOUT_S)


def _address(to: Destination) -> tuple[str, int]:
    host, _, port = (to.media or given("TELEBOT_AUDIOSOCKET")).rpartition(":")
    if not host:
        return urlsplit(to.server).hostname or "127.0.0.1", DEFAULT_PORT
    return host.strip("[]"), int(port)


async def _connect(address: tuple[str, int]) -> PacketWire:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            return PacketWire(*await asyncio.open_connection(*address))
    except OSError as error:  # TimeoutError is one
        why = error.strerror or "no answer"
        raise CannotCall(f"{address[0]}:{address[1]}: cannot connect ({why})") from None
