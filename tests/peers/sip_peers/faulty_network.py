"""A network between telephones and a server that loses, delays, swaps and doubles UDP packets,
of the signalling, the media, or both: seeded, each stream by itself, so a run can be repeated.

It is a relay with two faces: telephones send to `port`, the server sees calls come from
`server_port`. Addresses in SIP and SDP are exchanged on the way (all ports have five digits, so no
length changes), which puts the whole call through it. Digest authentication does not survive that.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from program import HOST, free_ports

Address = tuple[str, int]
Arrived = Callable[[bytes, Address], None]
CALL_ID = re.compile(rb"^(?:Call-ID|i)[ \t]*:[ \t]*(\S+)", re.MULTILINE | re.IGNORECASE)
MEDIA_PORT = re.compile(rb"(?<=\r\nm=audio )[0-9]{5}(?= )")


@dataclass(frozen=True)
class Faults:
    """What happens to a packet: `loss` and `duplicates` are shares, `jitter_ms` the most that it is
    delayed by (evenly distributed), `reorder` the share that may overtake those before it."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    reorder: float = 0.0
    duplicates: float = 0.0


class Line:
    """One direction of one stream: decides what becomes of each packet. `seen` counts."""

    def __init__(self, faults: Faults, rng: random.Random, seen: Counter[str]) -> None:
        self._faults, self._rng, self._seen = faults, rng, seen
        self._last_due = 0.0

    def carry(self, packet: bytes, deliver: Callable[[bytes], None]) -> None:
        self._seen["packets"] += 1
        lost, doubled, *fates = (self._rng.random() for _ in range(6))  # as many for each packet
        if lost < self._faults.loss:
            self._seen["lost"] += 1
            return
        copies = 1 + (doubled < self._faults.duplicates)
        self._seen["doubled"] += copies - 1
        for copy in range(copies):
            self._later(packet, deliver, fates[2 * copy], fates[2 * copy + 1])

    def _later(
        self, packet: bytes, deliver: Callable[[bytes], None], late: float, overtakes: float
    ) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + late * self._faults.jitter_ms / 1000
        if due < self._last_due:
            if overtakes < self._faults.reorder:
                self._seen["overtook"] += 1
            else:
                due = self._last_due + 1e-6  # equal times have no order
        self._last_due = max(self._last_due, due)
        if due <= loop.time():
            deliver(packet)
        else:
            loop.call_at(due, deliver, packet)


class Face(asyncio.DatagramProtocol):
    """A bound UDP socket."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived
        self._transport: asyncio.DatagramTransport | None = None

    async def bind(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, port))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._arrived(data, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there any more, which is the end of many calls."""

    def send(self, packet: bytes, to: Address) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(packet, to)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


@dataclass
class Leg:
    """One call's media: RTP and RTCP, each with a face to the telephone and one to the server."""

    to_phone: int
    to_server: int
    phone: int = 0
    server: int = 0
    faces: list[Face] = field(default_factory=list)

    def close(self) -> None:
        for face in self.faces:
            face.close()


@dataclass
class FaultyNetwork:
    """A running one; `seen` counts packets by fate, for signalling (`sip`) and media (`rtp`)."""

    port: int
    server_port: int
    server: int
    sip: Faults
    rtp: Faults
    seed: int
    seen: dict[str, Counter[str]] = field(
        default_factory=lambda: {"sip": Counter(), "rtp": Counter()}
    )
    messages: list[bytes] = field(default_factory=list)
    _legs: dict[bytes, Leg] = field(default_factory=dict)
    _phones: dict[bytes, int] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def open(self) -> None:
        self._outer, self._inner = Face(self._from_phone), Face(self._from_server)
        await self._outer.bind(self.port)
        await self._inner.bind(self.server_port)
        self._up = self._line("sip", "up")
        self._down = self._line("sip", "down")
        self._queue: asyncio.Queue[tuple[bytes, int, bool]] = asyncio.Queue()
        self._pump = asyncio.create_task(self._exchange())

    def _line(self, kind: str, name: str) -> Line:
        """What befalls it does not depend on what comes first from elsewhere."""
        faults = self.sip if kind == "sip" else self.rtp
        return Line(faults, random.Random(f"{self.seed} {kind} {name}"), self.seen[kind])

    async def close(self) -> None:
        self._pump.cancel()
        await asyncio.gather(self._pump, return_exceptions=True)
        for leg in self._legs.values():
            leg.close()
        self._outer.close()
        self._inner.close()
        await asyncio.sleep(0)  # the transports' own ends

    def _from_phone(self, packet: bytes, addr: Address) -> None:
        self._queue.put_nowait((packet, addr[1], True))

    def _from_server(self, packet: bytes, addr: Address) -> None:
        self._queue.put_nowait((packet, addr[1], False))

    async def _exchange(self) -> None:
        """Messages in their order: a leg is bound before the SDP that names it goes on."""
        while True:
            packet, port, from_phone = await self._queue.get()
            self.messages.append(packet)
            found = CALL_ID.search(packet)
            call = found[1] if found else b""
            if from_phone:
                self._phones[call] = port
            phone = self._phones.get(call, 0)
            if found and MEDIA_PORT.search(packet):
                packet = await self._media(call, packet, from_phone)
            if from_phone:
                packet = swap(packet, self.port, self.server)
                packet = swap(packet, phone, self.server_port)
                self._up.carry(packet, lambda one: self._inner.send(one, (HOST, self.server)))
            elif phone:
                packet = swap(packet, self.server_port, phone)
                packet = swap(packet, self.server, self.port)
                self._down.carry(packet, lambda one, to=phone: self._outer.send(one, (HOST, to)))

    async def _media(self, call: bytes, packet: bytes, from_phone: bool) -> bytes:
        if (leg := self._legs.get(call)) is None:
            leg = self._legs[call] = await self._leg()
        match = MEDIA_PORT.search(packet)
        assert match
        if from_phone:
            leg.phone = int(match[0])
            return MEDIA_PORT.sub(b"%d" % leg.to_server, packet)
        leg.server = int(match[0])
        return MEDIA_PORT.sub(b"%d" % leg.to_phone, packet)

    async def _leg(self) -> Leg:
        first = free_ports(4)
        leg = Leg(to_phone=first, to_server=first + 2)
        for more in (0, 1):  # RTP, and RTCP a port above
            await self._pair(leg, more)
        return leg

    async def _pair(self, leg: Leg, more: int) -> None:
        name = f"{len(self._legs)} {more}"
        up, down = self._line("rtp", f"up {name}"), self._line("rtp", f"down {name}")

        def from_phone(packet: bytes, _: Address) -> None:
            up.carry(packet, lambda one: to_server.send(one, (HOST, leg.server + more)))

        def from_server(packet: bytes, _: Address) -> None:
            down.carry(packet, lambda one: to_phone.send(one, (HOST, leg.phone + more)))

        to_phone, to_server = Face(from_phone), Face(from_server)
        await to_phone.bind(leg.to_phone + more)
        await to_server.bind(leg.to_server + more)
        leg.faces += [to_phone, to_server]


def swap(packet: bytes, port: int, by: int) -> bytes:
    """Every address of `port` on this machine becomes the same of `by`, also in a Via's rport."""
    host = HOST.encode()
    packet = packet.replace(b"%s:%d" % (host, port), b"%s:%d" % (host, by))
    return packet.replace(b"rport=%d" % port, b"rport=%d" % by)


@asynccontextmanager
async def faulty_network(
    server: int, *, sip: Faults | None = None, rtp: Faults | None = None, seed: int = 1
) -> AsyncIterator[FaultyNetwork]:
    """Between telephones and the server that listens on the port `server` of this machine."""
    assert server >= 10_000, "all ports have five digits"
    first = free_ports(2)
    network = FaultyNetwork(first, first + 1, server, sip or Faults(), rtp or Faults(), seed)
    await network.open()
    try:
        yield network
    finally:
        await network.close()
