"""The media of a call, packet by packet (RFC 3550, 3551, 4733): what a test wants to send, well
formed or not, and all that comes back."""

from __future__ import annotations

import asyncio
import random
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from program import HOST, free_ports

PCMU, PCMA, EVENTS = 0, 8, 101
KEYS = "0123456789*#ABCD"
Address = tuple[str, int]


@dataclass(frozen=True)
class Packet:
    """One that arrived, `at_s` of the loop's clock."""

    at_s: float
    source: Address
    marker: bool
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def read(data: bytes, at_s: float, source: Address) -> Packet:
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    assert first == 0x80, f"version 2 and nothing else, not {first:#x}"
    return Packet(
        at_s, source, bool(second & 0x80), second & 0x7F, sequence, timestamp, ssrc, data[12:]
    )


@dataclass
class RtpLine(asyncio.DatagramProtocol):
    """A bound port; `peer` is where packets go."""

    port: int
    peer: Address = (HOST, 0)
    packets: list[Packet] = field(default_factory=list)
    sequence: int = field(default_factory=lambda: random.randrange(1 << 15))
    timestamp: int = field(default_factory=lambda: random.randrange(1 << 31))
    ssrc: int = field(default_factory=lambda: random.randrange(1 << 32))
    _transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self.packets.append(read(data, asyncio.get_running_loop().time(), addr))

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed: the call is over there."""

    def raw(self, data: bytes, to: Address | None = None) -> None:
        """Any bytes, to the peer or elsewhere."""
        assert self._transport
        self._transport.sendto(data, to or self.peer)

    def send(self, payload: bytes, payload_type: int = PCMU, *, marker: bool = False) -> None:
        """One packet with the timestamp as it is; the sequence goes on."""
        second = payload_type | (0x80 if marker else 0)
        head = struct.pack("!BBHII", 0x80, second, self.sequence, self.timestamp, self.ssrc)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.raw(head + payload)

    async def speak(self, g711: bytes, payload_type: int = PCMU, ptime_ms: int = 20) -> None:
        """In real time, `ptime_ms` of 8 kHz a packet."""
        size, loop = ptime_ms * 8, asyncio.get_running_loop()
        due = loop.time()
        for at in range(0, len(g711), size):
            self.send(g711[at : at + size], payload_type, marker=at == 0)
            self.timestamp = (self.timestamp + size) & 0xFFFFFFFF
            due += ptime_ms / 1000
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def press(self, digits: str, payload_type: int = EVENTS, held_ms: int = 100) -> None:
        """Telephone events: one every 20 ms while the key is down, the last one thrice."""
        for digit in digits:
            lengths = range(160, held_ms * 8 + 1, 160)
            for length in (*lengths, lengths[-1], lengths[-1]):
                ends = 0x80 if length == lengths[-1] else 0
                event = struct.pack("!BBH", KEYS.index(digit), ends | 10, length)
                self.send(event, payload_type, marker=length == 160)
                await asyncio.sleep(0.02)
            self.timestamp = (self.timestamp + held_ms * 8 + 400) & 0xFFFFFFFF
            await asyncio.sleep(0.05)

    async def until(self, count: int, within_s: float = 20.0) -> list[Packet]:
        """At least `count` packets."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.packets) < count:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"{len(self.packets)} RTP packets, not {count}") from None
        return self.packets

    def audio(self, payload_type: int = PCMU) -> bytes:
        """What came, in the order of its sequence, each packet once."""
        those = {p.sequence: p for p in self.packets if p.payload_type == payload_type}
        return b"".join(those[number].payload for number in sorted(those))

    def close(self) -> None:
        if self._transport:
            self._transport.close()


@asynccontextmanager
async def rtp_line() -> AsyncIterator[RtpLine]:
    """On a free even port, the odd one above it free as well."""
    line = RtpLine(free_ports(2))
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: line, local_addr=(HOST, line.port))
    try:
        yield line
    finally:
        line.close()
        await asyncio.sleep(0)
