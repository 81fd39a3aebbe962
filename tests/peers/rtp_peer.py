"""The other side of a call's media for tests: one UDP socket that says exactly what it is told."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEADER = struct.Struct("!BBHII")


@dataclass(frozen=True, slots=True)
class Packet:
    kind: int
    marker: bool
    seq: int
    ts: int
    ssrc: int
    payload: bytes


def rtp(
    seq: int, ts: int, payload: bytes, *, kind: int = 0, marker: bool = False, ssrc: int = 7
) -> bytes:
    second = kind | (0x80 if marker else 0)
    return HEADER.pack(0x80, second, seq & 0xFFFF, ts & 0xFFFFFFFF, ssrc) + payload


@dataclass
class Sink:
    """A `MediaSink` that writes down what comes."""

    pieces: list[tuple[bytes, int]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def heard(self) -> bytes:
        return b"".join(ulaw for ulaw, _ in self.pieces)

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        self.pieces.append((ulaw, timestamp_ms))
        self.came.set()

    async def digit(self, digit: str) -> None:
        self.keys.append(digit)
        self.came.set()

    async def played(self, mark: str) -> None:
        self.marks.append(mark)
        self.came.set()

    async def ended(self, reason: str) -> None: ...

    async def until(self, enough) -> None:
        """Wait until `enough(self)`; the test's own timeout is the limit."""
        async with asyncio.timeout(30):
            while not enough(self):
                self.came.clear()
                await self.came.wait()


class Peer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.packets: list[Packet] = []
        self.raw: list[bytes] = []
        self._came = asyncio.Event()
        self.transport: asyncio.DatagramTransport
        self.port = 0

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr) -> None:
        self.raw.append(data)
        if len(data) >= 12:
            _, second, seq, ts, ssrc = HEADER.unpack_from(data)
            self.packets.append(Packet(second & 0x7F, second > 0x7F, seq, ts, ssrc, data[12:]))
        self._came.set()

    def send(self, data: bytes, port: int) -> None:
        self.transport.sendto(data, ("127.0.0.1", port))

    async def until(self, enough) -> None:
        async with asyncio.timeout(30):
            while not enough(self):
                self._came.clear()
                await self._came.wait()


@asynccontextmanager
async def peer() -> AsyncIterator[Peer]:
    transport, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        Peer, local_addr=("127.0.0.1", 0)
    )
    try:
        yield protocol
    finally:
        transport.close()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(0)
