"""One call's media over real UDP sockets: audio, keys and marks both ways, and who is let in."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from rtp_peer import Peer, Sink, peer, rtp

from telebot.audio import g711
from telebot.sip import sdp
from telebot.sip.ports import Busy, Ports
from telebot.sip.rtp import RtpStream

pytestmark = pytest.mark.peers

SPEECH = random.Random(5).randbytes(8000)


def offer_of(port: int, *, types: str = "0 8 101", more: str = "", address: str = "127.0.0.1"):
    text = (
        f"v=0\r\no=- 1 1 IN IP4 {address}\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {types}\r\na=rtpmap:101 telephone-event/8000\r\n{more}"
    )
    return sdp.read(text.encode())


@asynccontextmanager
async def line(**options) -> AsyncIterator[tuple[RtpStream, Peer, Sink]]:
    """A call that both agreed on, its sink listening."""
    offered = {key: options.pop(key) for key in ("types", "more") if key in options}
    ports = Ports(0)
    async with peer() as other:
        stream = await RtpStream.open(
            "127.0.0.1", ports, lambda address: address == "127.0.0.1", **options
        )
        try:
            _, agreed = sdp.answer(offer_of(other.port, **offered), stream.local)
            stream.use(agreed)
            sink = Sink()
            stream.begin(sink)
            yield stream, other, sink
        finally:
            await stream.close()
            ports.close()


def audio_of(other: Peer, kind: int = 0) -> bytes:
    return b"".join(packet.payload for packet in other.packets if packet.kind == kind)


async def test_caller_audio_comes_in_order_with_its_time():
    async with line() as (stream, other, sink):
        for n in range(10):
            other.send(rtp(65_533 + n, 500 + 160 * n, SPEECH[160 * n :][:160]), stream.local.port)
        await sink.until(lambda s: len(s.pieces) == 10)
        assert sink.heard == SPEECH[:1600]
        assert [at_ms for _, at_ms in sink.pieces] == list(range(0, 200, 20))


async def test_bot_audio_leaves_in_packets_and_marks_come_back_behind_it():
    async with line() as (stream, other, sink):
        stream.send_audio(SPEECH[:1000])
        stream.send_mark("end")
        await sink.until(lambda s: s.marks == ["end"])
        await other.until(lambda o: SPEECH[:1000] in audio_of(o))
        first = next(p for p in other.packets if p.payload != g711.SILENCE * 160)
        index = other.packets.index(first)
        for a, b in zip(other.packets[index:], other.packets[index + 1 :], strict=False):
            assert (b.seq - a.seq) & 0xFFFF == 1
            assert (b.ts - a.ts) & 0xFFFFFFFF == 160


async def test_a_law_both_ways():
    async with line(types="8 101") as (stream, other, sink):
        stream.send_audio(SPEECH[:160])
        alaw = SPEECH[:160].translate(g711.ULAW_TO_ALAW)
        await other.until(lambda o: alaw in audio_of(o, 8))
        other.send(rtp(1, 1, alaw, kind=8), stream.local.port)
        await sink.until(lambda s: s.pieces)
        assert sink.heard == alaw.translate(g711.ALAW_TO_ULAW)


async def test_keys_both_ways():
    async with line() as (stream, other, sink):
        event = bytes([5, 10, 0, 160])
        for n in range(3):
            other.send(rtp(n, 160, event, kind=101, marker=n == 0), stream.local.port)
        await sink.until(lambda s: s.keys == ["5"])
        stream.send_digits("1#")
        await other.until(lambda o: sum(p.payload[1] >> 7 for p in o.packets if p.kind == 101) == 6)
        events = [p for p in other.packets if p.kind == 101]
        assert {p.payload[0] for p in events} == {1, 11}
        assert len({p.ts for p in events}) == 2


async def test_others_are_not_heard_and_get_nothing():
    async with line() as (stream, other, sink), peer() as stranger:
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        await sink.until(lambda s: s.pieces)
        for n in range(9):
            stranger.send(rtp(2 + n, 160 * n, b"x" * 160, ssrc=9), stream.local.port)
        other.send(rtp(2, 160, b"b" * 160), stream.local.port)
        await sink.until(lambda s: len(s.pieces) == 2)
        assert sink.heard == b"a" * 160 + b"b" * 160
        assert stream.stats().junk == {"source": 9}
        assert stranger.packets == []


async def test_a_full_range_is_said_to_be_busy():
    ports = Ports(0)
    probe = ports.take("127.0.0.1")
    port = probe[0].getsockname()[1]
    for one in probe:
        one.close()
    narrow = Ports(port, port + 1)
    stream = await RtpStream.open("127.0.0.1", narrow, lambda _: True)
    assert stream.local.port == port
    with pytest.raises(Busy, match=r"sip\.rtp_ports"):
        await RtpStream.open("127.0.0.1", narrow, lambda _: True)
    await stream.close()
    again = await RtpStream.open("127.0.0.1", narrow, lambda _: True)
    await again.close()
