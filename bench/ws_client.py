"""A WebSocket client (RFC 6455) of no more than a media stream needs, cheap enough for 500 calls.

A library's client costs about as much a message as the server that is to be measured; this one
writes a whole frame in one call and reads with one pass over the bytes. Client frames are masked
as section 5.3 demands, with the key 0: the server unmasks as ever, nothing is copied here.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
MAX_HEAD = 16_384
MAX_FRAME = 1 << 20


class WireError(Exception):
    """The peer refused the upgrade or broke the protocol."""


def text_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One final, masked (key 0) frame of up to 64 KiB."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, 0x80 | size, 0, 0, 0, 0)) + payload
    return b"%c\xfe%b\0\0\0\0%b" % (0x80 | opcode, size.to_bytes(2, "big"), payload)


class FrameReader:
    """Cuts a byte stream into frames: (opcode, payload). Server frames are not masked."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Raises WireError for what a server may not send."""
        buffer = self._buffer
        buffer += data
        frames: list[tuple[int, bytes]] = []
        at, end = 0, len(buffer)
        while end - at >= 2:
            first, size, head = buffer[at], buffer[at + 1], 2
            if size & 0x80 or not first & 0x80:
                raise WireError("a masked or fragmented frame from a server")
            if size == 126:
                head = 4
                size = int.from_bytes(buffer[at + 2 : at + 4], "big") if end - at >= 4 else end
            elif size == 127:
                head = 10
                size = int.from_bytes(buffer[at + 2 : at + 10], "big") if end - at >= 10 else end
            if end - at < head + size:
                break
            if size > MAX_FRAME:
                raise WireError("frame too large")
            frames.append((first & 0x0F, bytes(buffer[at + head : at + head + size])))
            at += head + size
        del buffer[:at]
        if len(buffer) > MAX_FRAME + 10:
            raise WireError("frame too large")
        return frames


class StreamSocket(asyncio.Protocol):
    """One client connection; `on_text` gets each message, `on_lost` the end (once)."""

    def __init__(self, on_text: Callable[[bytes], None], on_lost: Callable[[], None]) -> None:
        self._on_text, self._on_lost = on_text, on_lost
        self._reader = FrameReader()
        self._head = bytearray()
        self.upgraded: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.transport: asyncio.Transport | None = None
        self.close_code: int | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def data_received(self, data: bytes) -> None:
        try:
            if not self.upgraded.done():
                data = self._upgrade(data)
            for opcode, payload in self._reader.feed(data) if data else ():
                self._frame(opcode, payload)
        except WireError as error:
            if not self.upgraded.done():
                self.upgraded.set_exception(error)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.upgraded.done():
            self.upgraded.set_exception(WireError("closed before the upgrade"))
        self._on_lost()

    def send(self, message: bytes) -> None:
        if self.transport is not None:
            self.transport.write(text_frame(message))

    def waiting_bytes(self) -> int:
        """What the server has not read yet of what was sent."""
        return self.transport.get_write_buffer_size() if self.transport is not None else 0

    def close(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(text_frame((1000).to_bytes(2, "big"), CLOSE))
            self.transport.close()

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _upgrade(self, data: bytes) -> bytes:
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            if len(self._head) > MAX_HEAD:
                raise WireError("no end of the response's head")
            return b""
        status = bytes(self._head[:end]).split(b"\r\n", 1)[0]
        if b" 101 " not in status + b" ":
            raise WireError(f"upgrade refused: {status[:80].decode('latin-1')}")
        self.upgraded.set_result(None)
        return bytes(self._head[end + 4 :])

    def _frame(self, opcode: int, payload: bytes) -> None:
        if opcode == TEXT:
            self._on_text(payload)
        elif opcode == PING and self.transport is not None:
            self.transport.write(text_frame(payload, PONG))
        elif opcode == CLOSE:
            self.close_code = int.from_bytes(payload[:2], "big") if payload else 1005
            self.close()


async def connect(
    url: str, on_text: Callable[[bytes], None], on_lost: Callable[[], None], timeout_s: float
) -> StreamSocket:
    """Open `ws://` and upgrade. Raises WireError, OSError, TimeoutError."""
    parts = urlsplit(url)
    if parts.scheme != "ws" or parts.hostname is None:
        raise WireError(f"only ws:// is played here, got {url!r}")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    key = base64.b64encode(os.urandom(16)).decode()
    async with asyncio.timeout(timeout_s):
        _, socket = await asyncio.get_running_loop().create_connection(
            lambda: StreamSocket(on_text, on_lost), parts.hostname, parts.port or 80
        )
        assert socket.transport is not None
        head = (
            f"GET {path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        socket.transport.write(head.encode())
        try:
            await socket.upgraded
        except BaseException:
            socket.abort()
            raise
    return socket
