"""AudioSocket's listener: each TCP connection is a media stream like a WebSocket.

Packets (`carriers/audiosocket_codec.py`) are the messages. Next: `media_socket.py`.
"""

from __future__ import annotations

import asyncio
import os
from typing import cast

import structlog
from aiohttp import WSMessage, WSMsgType

from telebot.call.errors import ConfigError
from telebot.carriers.port import StreamsMedia, Webhook
from telebot.web.media_socket import MediaSockets

HEADER = 3
READ_AHEAD_BYTES = 64 * 1024
LOST = 1006  # RFC 6455 section 7.4.1: no close was seen
_OVER = WSMessage(WSMsgType.CLOSE, 1000, "")
_CUT = WSMessage(WSMsgType.CLOSED, None, None)

log = structlog.get_logger(__name__)


class PacketSocket:
    """A `MessageSocket` on a TCP connection: a message is one packet, header and payload. Closing
    between two packets is a proper end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.close_code: int | None = None

    async def receive(self) -> WSMessage:
        """The next packet; a message of type `CLOSE` or `CLOSED` when there are no more."""
        try:
            header = await self._reader.readexactly(HEADER)
            length = int.from_bytes(header[1:])
            payload = await self._reader.readexactly(length) if length else b""
        except asyncio.IncompleteReadError as error:
            proper = not error.partial and error.expected == HEADER
            self.close_code = self.close_code or (1000 if proper else LOST)
            return _OVER if proper else _CUT
        except ConnectionError:
            self.close_code = self.close_code or LOST
            return _CUT
        return WSMessage(WSMsgType.BINARY, header + payload, None)

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        """Write a packet; there is but one kind of message here."""
        self._writer.write(message)

    async def close(self, *, code: int = 1000) -> bool:
        """Send what is written, then close."""
        self.close_code = self.close_code or code
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return False
        return True


class AudioSocketServer:
    """Listens on `address` for `carrier`'s calls once it is open. `asked`: the operator has named
    the address, so that one that is taken is a fault; else a PBX or another server of this machine
    may have it."""

    def __init__(
        self, address: str, carrier: StreamsMedia, sockets: MediaSockets, *, asked: bool
    ) -> None:
        self._wanted = address
        self._carrier = carrier
        self._sockets = sockets
        self._asked = asked
        self._server: asyncio.Server | None = None
        self.address = ""  # that it really listens on; "" where it does not

    async def open(self) -> None:
        """Listen. Raises `ConfigError`."""
        host, _, port = self._wanted.rpartition(":")
        try:
            self._server = await asyncio.start_server(
                self._connected, host.strip("[]"), int(port), limit=READ_AHEAD_BYTES, backlog=1024
            )
        except OSError as error:
            code = error.errno or 0
            why = os.strerror(code).lower() if code > 0 else error.strerror
            told = f"audiosocket {self._wanted}: {why}; name another by --audiosocket"
            if self._asked:
                raise ConfigError(told) from error
            log.warning("audiosocket_off", why=told)
            return
        self.address = f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Take no more connections; those that are up are the media sockets' matter."""
        if self._server is not None:
            self._server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peername")
        request = Webhook("TCP", f"tcp://{self.address}", {}, b"", peer[0] if peer else "")
        socket = PacketSocket(reader, writer)
        transport = cast(asyncio.Transport, writer.transport)
        try:
            await self._sockets.take(self._carrier, request, socket, transport)
        finally:
            writer.close()
