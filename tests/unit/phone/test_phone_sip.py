"""A telephone's RTP: what is lost, late or swapped on the way lands where it belongs."""

from __future__ import annotations

import random
import struct

import pytest

from telebot.audio import g711
from telebot.phone.microphone import Microphone
from telebot.phone.sip_dialog import Caller, SipMessage, _proof
from telebot.phone.sip_stream import HELD_BACK, SipStream, read

pytestmark = pytest.mark.unit

FIRST = 0xFFFFFF00  # timestamps wrap inside the test
LOUD = [bytes([level]) * 160 for level in range(1, 50)]


def packet(number: int, payload: bytes, kind: int = 0) -> bytes:
    return (
        struct.pack("!BBHII", 0x80, kind, number, (FIRST + 160 * number) & 0xFFFFFFFF, 7) + payload
    )


def stream() -> SipStream:
    one = SipStream(Microphone(None))
    one.open(0.0)
    return one


def played(order: list[tuple[int, float]]) -> bytes:
    """What is heard of packets (number, seconds after its time) from the first one on."""
    one = stream()
    for number, at_s in sorted(order, key=lambda item: item[0] * 0.02 + item[1]):
        one.receive(packet(number, LOUD[number]), number * 0.02 + at_s)
    one.advance(5.0)
    heard = one.playout.heard()
    return heard[heard.index(LOUD[0][:1]) :]


def test_packets_in_order_are_heard_as_they_were_said() -> None:
    assert played([(number, 0.0) for number in range(49)]).startswith(b"".join(LOUD))


def test_swapped_and_late_packets_are_put_in_order() -> None:
    rng = random.Random(1)
    order = [(number, rng.uniform(0, 0.04)) for number in range(1, 49)]
    assert played([(0, 0.0), *order]).startswith(b"".join(LOUD))


def test_a_lost_packet_is_silence_of_its_length() -> None:
    heard = played([(number, 0.0) for number in range(49) if number != 5])
    whole = b"".join(LOUD)
    assert heard[:800] == whole[:800]
    assert set(heard[800:960]) == {0xFF}
    assert heard[960:].startswith(whole[960:])


def test_what_comes_too_late_is_left_out() -> None:
    heard = played([(number, 0.0 if number != 5 else 0.5) for number in range(49)])
    assert set(heard[800:960]) == {0xFF}
    assert heard[960:].startswith(b"".join(LOUD)[960:])


def test_the_first_packet_is_held_back() -> None:
    one = stream()
    one.receive(packet(0, LOUD[0]), 1.0)
    one.advance(2.0)
    assert one.playout.voice[0].start == 8000 + HELD_BACK


def test_silence_is_noted_as_the_bots_clear_and_a_key_once() -> None:
    one = stream()
    for number in range(3):
        one.receive(packet(number, LOUD[number]), number * 0.02)
    for number in range(3, 6):
        one.receive(packet(3, b"\x0b\x0a\x00\xa0", 101), number * 0.02)
    one.advance(0.5)
    assert [one.name for one in one.happenings if one.name != "media"] == ["dtmf"]
    one.advance(1.0)
    assert [(one.name, one.detail) for one in one.happenings if one.name != "media"] == [
        ("dtmf", "#"), ("clear", ""),
    ]  # fmt: skip


def test_what_we_press_is_an_event_and_its_end_thrice() -> None:
    one = stream()
    packets = [read(message) for message in one.press("#") if isinstance(message, bytes)]
    assert {one.payload_type for one in packets if one} == {101}
    assert len({one.timestamp for one in packets if one}) == 1
    assert [one.payload[:2] for one in packets if one][-3:] == [b"\x0b\x8a"] * 3


@pytest.mark.parametrize("junk", [b"", b"\x80", b"\x00" * 30, b"\x80\x00" + b"\x00" * 10])
def test_what_is_no_packet_is_a_fault(junk: bytes) -> None:
    one = stream()
    one.receive(junk, 0.1)
    assert one.fault_count == 1


def test_a_challenge_is_answered_as_its_rfc_shows() -> None:
    """RFC 2617 section 3.5's figures, in the form without qop."""
    challenge = 'Digest realm="testrealm@host.com", nonce="abc", opaque="5ccc"'
    caller = Caller("sip:100@host", "1", "c", "Mufasa", "Circle Of Life")
    proof = _proof(challenge, caller, "INVITE")
    assert 'opaque="5ccc"' in proof
    assert 'uri="sip:100@host"' in proof
    assert "qop" not in proof
    assert "algorithm=MD5" in proof
    assert "algorithm=SHA-256" in _proof(
        f'{challenge}, algorithm=SHA-256, qop="auth"', caller, "INVITE"
    )


def test_a_message_with_folded_and_short_headers_is_read() -> None:
    message = SipMessage.read(
        b"SIP/2.0 200 OK\r\nv: one\r\nVia: two\r\nf:\r\n <sip:a@b>\r\nCSeq: 1 BYE\r\n\r\nx"
    )
    assert message is not None
    assert message.every("via") == ["one", "two"]
    assert message.header("from") == "<sip:a@b>"
    assert (message.status, message.method, message.body) == (200, "BYE", "x")
    assert SipMessage.read(b"\x80\x00junk") is None


def test_a_phone_that_speaks_alaw() -> None:
    one = SipStream(Microphone(None), "PCMA")
    one.open(0.0)
    (sent,) = one.advance(0.02)
    assert isinstance(sent, bytes)
    assert sent[1] & 0x7F == 8
    assert sent[12:] == g711.SILENCE.translate(g711.ULAW_TO_ALAW) * 160
    loud = LOUD[5]
    one.receive(packet(0, loud.translate(g711.ULAW_TO_ALAW), kind=8), 0.02)
    one.advance(0.3)
    there_and_back = loud.translate(g711.ULAW_TO_ALAW).translate(g711.ALAW_TO_ULAW)
    assert there_and_back in one.playout.heard()
    one.receive(packet(1, loud, kind=0), 0.3)
    assert one.faults == ["payload type 0"]
