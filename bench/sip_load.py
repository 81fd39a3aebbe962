"""The load over SIP: N calls in real time, as `phone_load.py` makes them over a media socket.

The same callers say the same things; each call is an INVITE, a packet of 20 ms every 20 ms, a BYE.
All calls share two sockets, one for SIP and one for RTP (the server's port tells them apart), and
the kernel says when each packet came. Beside what every load measures: INVITE → 200, also of calls
made while the others are up, and how evenly packets are sent (the distance of two packets of a call
less that of their timestamps). Says `steady`, `done` and the result as JSON lines on stdout.
"""

from __future__ import annotations

import argparse
import asyncio
import binascii
import contextlib
import random
import re
import socket
import struct
from array import array
from collections.abc import Sequence
from typing import Any, cast

import aiohttp

from bench import voices
from bench.phone_load import LoadPlan, PhoneCall, Target, call_sid, now, play, say
from bench.script import Planned, plan
from bench.stats import Samples, summary

HOST = "127.0.0.1"
STAMP = 35  # SO_TIMESTAMPNS (socket(7)); the socket module has no name for it
HEADER = struct.Struct("!BBHII")
SILENT = b"\xff" * 160
AT_ONCE = 500  # packets read before others have their turn
HELD_BACK_S = 0.06  # a telephone plays so much later than a packet comes
RESENT_S = (0.5, 1.0, 2.0)
STATUS = re.compile(rb"SIP/2\.0 (\d{3})")
CALL_ID = re.compile(rb"^Call-ID:\s*(\S+)", re.MULTILINE | re.IGNORECASE)
TO = re.compile(rb"^To:\s*(.*?)\r?$", re.MULTILINE | re.IGNORECASE)
VIA = re.compile(rb"^Via:.*?\r?$", re.MULTILINE | re.IGNORECASE)
CSEQ = re.compile(rb"^CSeq:\s*(\d+ \S+)", re.MULTILINE | re.IGNORECASE)
FROM = re.compile(rb"^From:.*?\r?$", re.MULTILINE | re.IGNORECASE)
MEDIA = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)


class SipCall(PhoneCall):
    """One call of the load."""

    def __init__(
        self, switch: Switch, sid: str, line: voices.Line, said: Sequence[Planned], samples: Samples
    ) -> None:
        super().__init__(Target("", ""), sid, line, said, samples)
        self.meter.playout.held_back_s = HELD_BACK_S
        self.sid = sid
        self.port = 0  # of the server, for this call
        self._switch = switch
        self._number = 0
        self._last: tuple[float, int] | None = None

    async def dial(self, http: aiohttp.ClientSession) -> None:
        """INVITE, 200, ACK. A refusal is counted, not raised."""
        began_s = now()
        try:
            self.port = await self._switch.invite(self.sid)
        except (ConnectionError, TimeoutError) as error:
            self.samples.failures[f"refused: {type(error).__name__}: {error}"[:100]] += 1
            return
        self.samples.webhook_ms.append((now() - began_s) * 1000)
        self._switch.calls[self.port] = self
        self.meter.start(now())
        self.connected = True

    def tick(self, now_s: float) -> None:
        """Send the 20 ms that are due."""
        if not self.connected:
            return
        self._number += 1
        head = HEADER.pack(0x80, 0, self._number & 0xFFFF, 160 * self._number, self.port)
        self._switch.send(head + binascii.a2b_base64(self.payload(now_s)), self.port)

    def arrived(self, data: bytes, at_s: float) -> None:
        """A packet of the bot; `at_s` is the kernel's clock."""
        timestamp = HEADER.unpack_from(data)[3]
        if self.samples.measuring and self._last and timestamp > self._last[1]:
            apart_ms = (timestamp - self._last[1]) / 8
            self._switch.jitter_ms.append(abs((at_s - self._last[0]) * 1000 - apart_ms))
        self._last = (at_s, timestamp)
        if data[12:] != SILENT:
            self.meter.media(len(data) - 12, now())

    def hung_up(self) -> None:
        """The server sent a BYE."""
        if self.connected:
            self.samples.failures["the server hung up"] += 1
        self.connected = False

    def hang_up(self) -> None:
        if self.connected:
            self.meter.finish(now())
            self.connected = False
            self._switch.bye(self.sid)


class Switch(asyncio.DatagramProtocol):
    """Both sockets, and the signalling of every call. `calls` are found by the server's port."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.calls: dict[int, SipCall] = {}
        self.jitter_ms = array("f")
        self._answers: dict[bytes, asyncio.Future[bytes]] = {}
        self._to: dict[str, str] = {}
        self._rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._rtp.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        self._rtp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._rtp.bind((HOST, 0))
        self._rtp.setblocking(False)
        self._sip: asyncio.DatagramTransport | None = None

    async def open(self) -> None:
        """Bind, and read from now on."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._rtp, self._read)
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self._sip = transport

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._rtp)
        self._rtp.close()
        if self._sip is not None:
            self._sip.close()

    async def invite(self, sid: str) -> int:
        """Call; the port of the server's audio. Raises ConnectionError, TimeoutError."""
        port = self._rtp.getsockname()[1]
        body = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0\r\na=ptime:20\r\n"
        )
        request = self._request("INVITE", sid, 1, body)
        self._answers[sid.encode()] = answer = asyncio.get_running_loop().create_future()
        for wait_s in RESENT_S:
            self._put(request)
            with contextlib.suppress(TimeoutError):
                said = await asyncio.wait_for(asyncio.shield(answer), wait_s)
                break
        else:
            said = await asyncio.wait_for(answer, 10.0)
        status, media = STATUS.match(said), MEDIA.search(said)
        if status is None or status[1] != b"200" or media is None:
            raise ConnectionError(said.split(b"\r\n", 1)[0].decode())
        return int(media[1])

    def bye(self, sid: str) -> None:
        self._put(self._request("BYE", sid, 2))

    def send(self, packet: bytes, port: int) -> None:
        """RTP. What the kernel has no room for is lost, as on any network."""
        with contextlib.suppress(BlockingIOError):
            self._rtp.sendto(packet, (self.server[0], port))

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        call_id = CALL_ID.search(data)
        if call_id is None:
            return
        sid, status = call_id[1].decode(), STATUS.match(data)
        if status is None:
            self._asked(data, sid)
        elif status[1] >= b"200" and b" INVITE" in cast(re.Match[bytes], CSEQ.search(data))[1]:
            self._to[sid] = cast(re.Match[bytes], TO.search(data))[1].decode()
            self._put(self._request("ACK", sid, 1))
            answer = self._answers.pop(call_id[1], None)
            if answer is not None and not answer.done():
                answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there any more."""

    def _asked(self, data: bytes, sid: str) -> None:
        """Whatever it is, it is fine."""
        if data.startswith(b"ACK"):
            return
        lines = [b"SIP/2.0 200 OK"]
        for part in (VIA, FROM, TO, CALL_ID, CSEQ):
            lines += [found[0].rstrip(b"\r") for found in part.finditer(data)]
        self._put(b"\r\n".join([*lines, b"Content-Length: 0", b"", b""]).decode())
        if data.startswith(b"BYE"):
            for call in self.calls.values():
                if call.sid == sid:
                    call.hung_up()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(AT_ONCE):
                data, (stamp, *_), _, address = self._rtp.recvmsg(512, 64)
                seconds, nanoseconds = struct.unpack("@ll", stamp[2])
                call = self.calls.get(address[1])
                if call is not None and call.connected and len(data) > 12:
                    call.arrived(data, seconds + nanoseconds / 1e9)

    def _request(self, method: str, sid: str, cseq: int, body: str = "") -> str:
        assert self._sip
        host, port = self._sip.get_extra_info("sockname")[:2]
        uri = f"sip:bench@{self.server[0]}:{self.server[1]}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch=z9hG4bK{sid}{method}{cseq}",
            "Max-Forwards: 70",
            f"From: <sip:+15550001@{host}>;tag={sid}",
            f"To: {self._to.get(sid, f'<{uri}>')}",
            f"Call-ID: {sid}",
            f"CSeq: {cseq} {method}",
            f"Contact: <sip:bench@{host}:{port}>",
        ]
        lines += ["Content-Type: application/sdp"] if body else []
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", body])

    def _put(self, text: str) -> None:
        if self._sip is not None and not self._sip.is_closing():
            self._sip.sendto(text.encode(), self.server)


async def dialled(switch: Switch, count: int, apart_s: float) -> list[float]:
    """INVITE → 200 in ms of calls made one after the other, each hung up at once."""
    found = []
    for number in range(count):
        sid, began_s = call_sid(900_000 + number), now()
        await switch.invite(sid)
        found.append((now() - began_s) * 1000)
        switch.bye(sid)
        await asyncio.sleep(apart_s)
    return found


async def run(server: tuple[str, int], load: LoadPlan, dials: int) -> dict[str, Any]:
    """The load, with `dials` calls before it and as many while it is up."""
    switch = Switch(server)
    await switch.open()
    rng, lines = random.Random(load.seed), voices.lines()
    talk_s = load.ramp_s + load.settle_s + load.seconds

    def made(samples: Samples) -> list[PhoneCall]:
        calls: list[PhoneCall] = []
        for number in range(load.calls):
            line = lines[number % len(lines)]
            said = plan(line.utterances, line.interruptions, talk_s, rng)
            calls.append(SipCall(switch, call_sid(number), line, said, samples))
        return calls

    idle_ms = await dialled(switch, dials, 0.05)
    busy: list[float] = []

    async def beside() -> None:
        await asyncio.sleep(load.ramp_s + load.settle_s + 1.0)
        busy.extend(await dialled(switch, dials, load.seconds * 0.8 / max(1, dials)))

    task = asyncio.create_task(beside())
    try:
        result = await play(made, load)
        await task
    finally:
        task.cancel()
        switch.close()
    return {
        **result,
        "dial_idle_ms": summary(idle_ms),
        "dial_busy_ms": summary(busy),
        "send_jitter_ms": summary(switch.jitter_ms, 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench sip-load")
    parser.add_argument("server", help="HOST:PORT")
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--ramp", type=float, default=5.0, help="calls arrive within (s)")
    parser.add_argument("--settle", type=float, default=5.0, help="wait before measuring (s)")
    parser.add_argument(
        "--dials", type=int, default=0, help="calls for INVITE → 200, before and while"
    )
    args = parser.parse_args(argv)
    host, _, port = args.server.rpartition(":")
    load = LoadPlan(args.calls, args.seconds, args.ramp, args.settle)
    import uvloop

    say("result", **uvloop.run(run((host, int(port)), load, args.dials)))


if __name__ == "__main__":
    main()
