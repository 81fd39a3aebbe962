"""Bot audio into packets: their lengths, times, marks, and what silence is on the wire."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import g711
from telebot.audio.dtmf_tones import ToneKeys
from telebot.sip.rtp_out import MOST_QUEUED, RtpOut

pytestmark = pytest.mark.unit

HEADER = struct.Struct("!BBHII")
FIRST_TS = 2**32 - 1000


class Wire:
    """An `RtpOut` on beats of 10 ms, and what it sent."""

    def __init__(self, ptime_ms=20, *, keepalive_s=0.0, alaw=None, events=101, kind=0) -> None:
        self.out = RtpOut(7, 65_530, FIRST_TS, keepalive_s)
        self.out.use(kind, alaw, ptime_ms, events)
        self.period = ptime_ms // 10
        self.number = 0
        self.packets: list[tuple[int, bool, int, int, bytes]] = []
        self.played: list[tuple[int, str]] = []

    def beats(self, count: int) -> None:
        """As many packets' times go by."""
        for _ in range(count):
            self.number += self.period
            self.out.passed(lambda name: self.played.append((self.number, name)))
            self.out.beat(self.number, self.number / 100, self._sent)

    def _sent(self, data: bytes) -> None:
        first, second, seq, ts, ssrc = HEADER.unpack_from(data)
        assert (first, ssrc) == (0x80, 7)
        self.packets.append((second & 0x7F, second > 0x7F, seq, ts, data[12:]))

    def audio(self) -> bytes:
        return b"".join(body for kind, _, _, _, body in self.packets if kind in (0, 8))


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_audio_of_any_length_leaves_in_packets_of_the_agreed_one(ptime_ms):
    wire = Wire(ptime_ms)
    said = bytes(range(255)) * 10
    for n in range(0, len(said), 333):
        wire.out.audio(said[n : n + 333])
    wire.beats(30 * 20 // ptime_ms)
    assert wire.audio().rstrip(g711.SILENCE) == said
    assert {len(body) for *_, body in wire.packets} == {8 * ptime_ms}
    for (_, _, seq, ts, _), (_, marker, seq_2, ts_2, _) in zip(
        wire.packets, wire.packets[1:], strict=False
    ):
        assert (seq_2 - seq) & 0xFFFF == 1
        assert (ts_2 - ts) & 0xFFFFFFFF == 8 * ptime_ms
        assert not marker
    assert wire.packets[0][1]  # the marker


def test_silence_is_sent_like_speech():
    wire = Wire()
    wire.beats(50)
    assert wire.audio() == g711.SILENCE * 8000


def test_where_silence_is_left_out_a_packet_goes_now_and_then_and_speech_is_marked():
    wire = Wire(keepalive_s=1.0)
    wire.beats(100)
    assert len(wire.packets) == 2
    wire.out.audio(b"a" * 320)
    wire.beats(10)
    spoken = [packet for packet in wire.packets if packet[4] == b"a" * 160]
    assert [marker for _, marker, *_ in spoken] == [True, False]
    assert (spoken[0][3] - FIRST_TS) & 0xFFFFFFFF == 101 * 160  # by the clock


def test_a_law():
    wire = Wire(alaw=g711.ULAW_TO_ALAW, kind=8)
    wire.out.audio(bytes(range(160)))
    wire.beats(2)
    assert wire.audio()[:160] == bytes(range(160)).translate(g711.ULAW_TO_ALAW)
    assert wire.audio()[160:] == b"\xd5" * 160


def test_marks_come_back_when_their_audio_had_its_time():
    wire = Wire()
    wire.out.mark("before")
    wire.out.audio(b"a" * 240)
    wire.out.mark("end")
    wire.beats(5)
    assert wire.played == [(2, "before"), (6, "end")]


def test_what_is_cleared_is_not_sent_and_its_marks_come_back():
    wire = Wire()
    wire.out.audio(b"a" * 1600)
    wire.out.mark("end")
    wire.beats(2)
    wire.out.clear()
    wire.beats(2)
    assert wire.audio() == b"a" * 320 + g711.SILENCE * 320
    assert [name for _, name in wire.played] == ["end"]


def test_while_held_time_passes_without_a_packet():
    wire = Wire()
    wire.out.audio(b"a" * 480)
    wire.out.mark("end")
    for _ in range(3):
        wire.out.skip()
    wire.beats(1)
    assert wire.audio() == g711.SILENCE * 160
    assert [name for _, name in wire.played] == ["end"]


def test_keys_go_before_audio_and_share_its_sequence_numbers():
    wire = Wire()
    wire.out.press("4")
    wire.out.audio(b"a" * 160)
    wire.beats(20)
    kinds = [kind for kind, *_ in wire.packets]
    assert kinds[:10] == [101] * 10
    assert 101 not in kinds[10:]
    assert [seq for _, _, seq, _, _ in wire.packets] == [
        (65_530 + n) & 0xFFFF for n in range(len(kinds))
    ]
    assert len({ts for kind, _, _, ts, _ in wire.packets if kind == 101}) == 1
    assert b"a" * 160 in wire.audio()


def test_a_peer_without_events_hears_tones():
    wire = Wire(events=None)
    wire.out.press("3w9")
    wire.beats(60)
    assert ToneKeys().feed(wire.audio()) == "39"


def test_a_voice_that_runs_ahead_is_cut_at_the_front():
    wire = Wire()
    wire.out.audio(b"a" * 1000 + b"b" * MOST_QUEUED)
    assert wire.out.cut == 1000
    wire.beats(1)
    assert wire.audio() == b"b" * 160


@given(st.lists(st.binary(max_size=700), max_size=20), st.sampled_from([10, 20, 30, 60]))
def test_whatever_is_said_is_sent_once_and_in_order(pieces, ptime_ms):
    wire = Wire(ptime_ms)
    for piece in pieces:
        wire.out.audio(piece)
    wire.beats(len(b"".join(pieces)) // 80 + 1)
    assert wire.audio().startswith(b"".join(pieces))
