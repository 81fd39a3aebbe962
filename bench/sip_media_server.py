"""The process under test of `sip_media.py`: N calls' media and nothing else.

Prints its ports as one line of JSON, then serves until its input is closed, and prints what it
counted. The bot of each call speaks all the time, or not at all.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop
from aiortp import RTPSession
from aiortp.codecs import PcmuCodec

from bench.sip_media import HOST, RANGE
from telebot.sip import sdp
from telebot.sip.ports import Ports
from telebot.sip.rtp import RtpStream

PIECE = bytes(range(160))
TICK_S = 0.02


class Ear:
    """A sink that counts."""

    def __init__(self) -> None:
        self.pieces = self.samples = 0

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        self.pieces += 1
        self.samples += len(ulaw)

    async def digit(self, digit: str) -> None: ...

    async def played(self, mark: str) -> None: ...

    async def ended(self, reason: str) -> None: ...


async def telebot_calls(count: int, port: int, keepalive_s: float) -> Any:
    ports, ear, calls = Ports(*RANGE), Ear(), []
    for _ in range(count):
        stream = await RtpStream.open(HOST, ports, lambda _: True, keepalive_s=keepalive_s)
        offer = (
            f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\n"
            f"m=audio {port} RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        )
        stream.use(sdp.answer(sdp.read(offer.encode()), stream.local)[1])
        stream.begin(ear)
        calls.append(stream)

    def counted() -> dict[str, Any]:
        each = [call.stats() for call in calls]
        return {
            "heard_s": round(ear.samples / 8000, 1),
            "lost": sum(one.lost for one in each),
            "late": sum(one.late for one in each),
            "skipped_beats": ports.beats.skipped,
        }

    return [c.local.port for c in calls], [c.send_audio for c in calls], counted


def free_ports(count: int) -> list[int]:
    """Even ports of which the next one is free, too."""
    ports, found = Ports(*RANGE), []
    for _ in range(count):
        pair = ports.take(HOST)
        found.append(pair[0].getsockname()[1])
        for one in pair:
            one.close()
    return found


async def aiortp_calls(count: int, port: int, whole: bool) -> Any:
    calls, heard = [], [0]

    def on_audio(pcm: bytes, timestamp: int) -> None:
        heard[0] += len(pcm) // 2

    ours = free_ports(count)
    for local in ours:
        session = await RTPSession.create(
            (HOST, local), (HOST, port), 0, codec=PcmuCodec(), playout=whole, paced=whole
        )
        session.on_audio = on_audio
        calls.append(session)
    return ours, [c.send_audio_auto for c in calls], lambda: {"heard_s": heard[0] / 8000}


class Floor(asyncio.DatagramProtocol):
    """What the loop and the kernel alone cost."""

    def __init__(self) -> None:
        self.packets = 0

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.packets += 1


async def floor_calls(count: int, port: int) -> Any:
    ours, sends, calls = free_ports(count), [], []
    for local in ours:
        transport, call = await asyncio.get_running_loop().create_datagram_endpoint(
            Floor, local_addr=(HOST, local)
        )
        number = [0]

        def send(piece: bytes, transport: Any = transport, number: list[int] = number) -> None:
            number[0] += 1
            head = b"\x80\0" + (number[0] & 0xFFFF).to_bytes(2, "big")
            transport.sendto(head + (160 * number[0]).to_bytes(8, "big") + piece, (HOST, port))

        sends.append(send)
        calls.append(call)
    return ours, sends, lambda: {"heard_s": sum(call.packets for call in calls) / 50}


async def speak(sends: list[Callable[[bytes], Any]]) -> None:
    """20 ms for every call each 20 ms, in four parts of the time."""
    due, part = time.monotonic(), 0
    while True:
        due += TICK_S / 4
        part = (part + 1) % 4
        for send in sends[part::4]:
            send(PIECE)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def serve(variant: str, count: int, port: int) -> None:
    if variant.startswith("telebot"):
        ours, sends, counted = await telebot_calls(count, port, 5.0 * ("left-out" in variant))
    elif variant.startswith("aiortp"):
        ours, sends, counted = await aiortp_calls(count, port, variant == "aiortp")
    else:
        ours, sends, counted = await floor_calls(count, port)
    print(json.dumps({"ports": ours}), flush=True)
    speaking = None if "silent" in variant else asyncio.create_task(speak(sends))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    if speaking is not None:
        speaking.cancel()
    print(json.dumps(counted()), flush=True)
    sys.stdout.flush()


def main(argv: list[str]) -> int:
    variant, count, port = argv
    uvloop.run(serve(variant, int(count), int(port)))
    return 0
