"""One call's media over real UDP sockets: audio, keys and marks both ways, and who is let in."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import weakref
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rtp_peer import Peer, Sink, peer, rtp

from telebot.audio import g711
from telebot.audio.dtmf_tones import tones
from telebot.audio.levels import level_dbfs
from telebot.sip import rtcp, sdp
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
    offered = {key: options.pop(key) for key in ("types", "more", "address") if key in options}
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


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - counted by a stream, which has no event for it
            await asyncio.sleep(0.02)


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


async def test_behind_nat_the_bot_answers_where_packets_come_from():
    """The description names a port from which nothing comes; the trunk's address is right."""
    async with line() as (stream, other, sink), peer() as nat:
        stream.send_audio(SPEECH[:8000])
        await other.until(lambda o: len(o.packets) > 2)  # so far, where it was described
        for n in range(6):
            nat.send(rtp(n, 160 * n, b"a" * 160), stream.local.port)
        await nat.until(lambda o: len(o.packets) > 5)
        await sink.until(lambda s: len(s.pieces) == 4)  # two were spent on finding out
        before = len(other.packets)
        await nat.until(lambda o: len(o.packets) > 10)
        assert len(other.packets) == before


async def test_a_peer_with_a_private_address_hears_the_greeting_from_its_beginning():
    async with line(address="10.0.0.7") as (stream, other, _):
        stream.send_audio(SPEECH[:1600])
        await asyncio.sleep(0.2)
        for n in range(4):
            other.send(rtp(n, 160 * n, b"a" * 160), stream.local.port)
        await other.until(lambda o: audio_of(o).startswith(SPEECH[:1600]))


async def test_another_description_moves_the_call():
    async with line() as (stream, other, sink), peer() as later:
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        await sink.until(lambda s: s.pieces)
        stream.use(sdp.answer(offer_of(later.port, more="a=ptime:60\r\n"), stream.local)[1])
        stream.send_audio(SPEECH[:960])
        await later.until(lambda o: SPEECH[:960] in audio_of(o))
        assert {len(packet.payload) for packet in later.packets} == {480}
        later.send(rtp(9000, 77, b"b" * 480, ssrc=8), stream.local.port)
        await sink.until(lambda s: s.heard.endswith(b"b" * 480))


async def test_on_hold_nothing_is_sent_and_music_is_not_heard():
    async with line() as (stream, other, sink):
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        await sink.until(lambda s: s.pieces)
        stream.use(sdp.answer(offer_of(other.port, more="a=sendonly\r\n"), stream.local)[1])
        sent = stream.stats().sent
        stream.send_audio(SPEECH[:320])
        stream.send_mark("end")
        for n in range(2, 12):
            other.send(rtp(n, 160 * n, b"m" * 160), stream.local.port)
        await sink.until(lambda s: s.marks == ["end"])
        assert stream.stats().sent == sent
        stream.use(sdp.answer(offer_of(other.port), stream.local)[1])
        other.send(rtp(12, 1920, b"b" * 160), stream.local.port)
        await sink.until(lambda s: s.heard.endswith(b"b" * 160))
        assert b"m" not in sink.heard
        await other.until(lambda o: stream.stats().sent > sent)


async def test_a_dead_peer_is_told_of_once_and_not_on_hold():
    async with line(silent_s=0.3) as (stream, other, _):
        told, said = [], asyncio.Event()
        stream.on_silent = lambda: (told.append(1), said.set())
        stream.use(sdp.answer(offer_of(other.port, more="a=inactive\r\n"), stream.local)[1])
        await asyncio.sleep(0.6)
        assert told == []
        stream.use(sdp.answer(offer_of(other.port), stream.local)[1])
        async with asyncio.timeout(30):
            await said.wait()
        await asyncio.sleep(0.6)
        assert told == [1]


async def test_a_line_that_goes_quiet_is_bridged_with_noise_as_loud_as_it_says():
    async with line() as (stream, other, sink):
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        other.send(rtp(2, 160, bytes([50]), kind=13), stream.local.port)
        await sink.until(lambda s: len(s.heard) > 2000)
        noise = g711.decode(sink.heard[160:])
        assert -54 < level_dbfs(noise) < -46
        times = [at_ms for _, at_ms in sink.pieces]
        assert times == sorted(times)


async def test_a_sink_that_fails_is_told_of():
    async with line() as (stream, other, sink):
        failed = asyncio.Event()
        stream.on_failed = failed.set

        async def broken(ulaw: bytes, at_ms: int) -> None:
            raise ZeroDivisionError

        sink.audio = broken
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        async with asyncio.timeout(30):
            await failed.wait()


async def test_junk_is_counted_and_does_nothing():
    async with line() as (stream, other, sink):
        port = stream.local.port
        other.send(b"x", port)
        other.send(bytes(1600), port)
        other.send(b"\x00" + rtp(1, 0, b"x" * 160)[1:], port)
        other.send(rtp(1, 0, b"x" * 160, kind=96), port)
        other.send(rtp(1, 0, b"x" * 160, kind=18), port)
        other.send(b"\x80\xc8" + bytes(40), port)
        other.send(b"\x80\xc8" + bytes(40), port + 1)
        other.send(rtp(1, 0, b"a" * 160), port)
        await sink.until(lambda s: s.pieces)
        await asyncio.sleep(0.05)
        assert sink.heard[:160] == b"a" * 160
        junk = {"size": 2, "no_rtp": 1, "payload_type": 2, "no_rtcp": 2}
        assert stream.stats().junk == junk


async def test_both_ends_report_and_say_goodbye(monkeypatch):
    monkeypatch.setattr(rtcp, "INTERVAL_S", 0.2)
    ports = Ports(0)
    we, they = [await RtpStream.open("127.0.0.1", ports, lambda _: True) for _ in range(2)]
    try:
        ours = sdp.offer(we.local)
        answer, agreed = sdp.answer(sdp.read(ours), they.local)
        they.use(agreed)
        we.use(sdp.accept(ours, sdp.read(answer)))
        await until(lambda: all(side.stats().round_trip_ms is not None for side in (we, they)))
        for side in (we, they):
            stats = side.stats()
            assert stats.round_trip_ms < 100
            assert stats.lost == stats.sent_lost == 0
            assert stats.mos > 4.3
            assert stats.sent_mos > 4.2
        await we.close()
        await until(lambda: they._reports.left)
    finally:
        await we.close()
        await they.close()
        ports.close()


async def test_reports_on_the_same_port_where_the_peer_wants_them(monkeypatch):
    monkeypatch.setattr(rtcp, "INTERVAL_S", 0.1)
    async with line(more="a=rtcp-mux\r\n") as (stream, other, _):
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        await other.until(lambda o: any(200 <= data[1] <= 201 for data in o.raw))


async def test_keys_as_tones_where_no_events_were_agreed():
    async with line(types="0") as (stream, other, sink):
        audio = b"".join(tones(key) for key in "159#")
        for n in range(0, len(audio), 160):
            other.send(rtp(n // 160, n, audio[n : n + 160]), stream.local.port)
        await sink.until(lambda s: s.keys == list("159#"))


async def test_where_events_were_agreed_tones_are_only_sound():
    async with line() as (stream, other, sink):
        audio = b"".join(tones(key) for key in "159#")
        for n in range(0, len(audio), 160):
            other.send(rtp(n // 160, n, audio[n : n + 160]), stream.local.port)
        await sink.until(lambda s: len(s.heard) == len(audio))
        assert sink.keys == []


async def test_closing_gives_everything_back_and_twice_is_once():
    async with line() as (stream, _, _):
        await stream.close()
        await stream.close()
        stream.send_audio(SPEECH[:160])
        stream.send_mark("never")
        stream.send_clear()
        assert stream._beats._where == {}
        again = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.bind(("127.0.0.1", stream.local.port))
        again.close()


async def test_a_call_that_is_over_leaves_nothing_behind():
    gc.collect()
    gc.disable()
    try:
        async with line() as (stream, other, sink):
            for n in (0, 2, 3):
                other.send(rtp(n, 160 * n, b"a" * 160), stream.local.port)
            await sink.until(lambda s: len(s.pieces) >= 3)
            gone = weakref.ref(stream)
        del stream, other, sink
        await asyncio.sleep(0.05)
        assert gone() is None
    finally:
        gc.enable()


async def test_a_call_that_hangs_up_from_within_its_own_audio():
    async with line() as (stream, other, sink):

        async def hang_up(ulaw: bytes, at_ms: int) -> None:
            await stream.close()
            sink.came.set()

        sink.audio = hang_up
        other.send(rtp(1, 0, b"a" * 160), stream.local.port)
        async with asyncio.timeout(30):
            await sink.came.wait()


@pytest.mark.timeout(60)
@settings(max_examples=200)
@given(
    st.lists(
        st.binary(max_size=80)
        | st.builds(
            rtp,
            st.integers(0, 9),
            st.integers(0, 9999),
            st.binary(max_size=40),
            kind=st.sampled_from([0, 8, 13, 101, 72, 127]),
            marker=st.booleans(),
            ssrc=st.integers(0, 2),
        ),
        max_size=30,
    )
)
def test_any_datagrams_leave_a_call_up(datagrams):
    async def scene() -> None:
        async with line() as (stream, other, sink):
            for data in datagrams:
                stream.arrived(data, ("127.0.0.1", other.port))
                stream.report_arrived(data, ("127.0.0.1", other.port))
            stream.stats()
            other.send(rtp(30_000, 5, b"z" * 160, ssrc=77), stream.local.port)
            await sink.until(lambda s: s.heard.endswith(b"z" * 160))

    asyncio.run(scene())


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
