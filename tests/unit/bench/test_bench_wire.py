import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from twilio.twiml.voice_response import VoiceResponse

from bench.carrier_wire import (
    Account,
    NoStream,
    StreamMessages,
    read_twiml,
    signature,
    voice_form,
)
from bench.ws_client import FrameReader, WireError, text_frame

pytestmark = pytest.mark.unit

URL = "https://telebot.example/twilio/voice?agent=bench"


def test_the_signature_is_the_one_twilio_checks() -> None:
    account = Account()
    form = voice_form(account, "CA1")
    made = signature(account, URL, form)
    assert RequestValidator(account.token).validate(URL, form, made)
    assert not RequestValidator(account.token).validate(URL + "x", form, made)


def test_twiml_gives_the_stream_and_its_parameters() -> None:
    answer = VoiceResponse()
    stream = answer.connect().stream(url="wss://telebot.example/twilio/media")
    stream.parameter(name="token", value="a&b")
    offer = read_twiml(str(answer))
    assert offer.url == "wss://telebot.example/twilio/media"
    assert offer.parameters == {"token": "a&b"}


@pytest.mark.parametrize("xml", ["", "no", "<Response/>", "<Response><Say>Sorry</Say></Response>"])
def test_twiml_without_a_stream_is_a_refusal(xml: str) -> None:
    with pytest.raises(NoStream):
        read_twiml(xml)


def test_messages_are_numbered_as_twilio_numbers_them() -> None:
    wire = StreamMessages(Account(), "CA1", "MZ1", {"token": "t"})
    assert json.loads(wire.connected())["event"] == "connected"
    start = json.loads(wire.start())
    assert start["start"]["customParameters"] == {"token": "t"}
    first, second = json.loads(wire.media(b"AAAA")), json.loads(wire.media(b"BBBB"))
    numbers = [int(m["sequenceNumber"]) for m in (start, first, second, json.loads(wire.stop()))]
    assert numbers == [1, 2, 3, 4]
    assert second["media"] == {
        "track": "inbound",
        "chunk": "2",
        "timestamp": "20",
        "payload": "BBBB",
    }
    assert json.loads(wire.mark("x"))["mark"] == {"name": "x"}


def server_frame(payload: bytes, opcode: int = 1) -> bytes:
    """What a server sends: not masked."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


@given(
    st.lists(st.sampled_from([0, 1, 125, 126, 300, 65535, 65536, 70000]), max_size=5),
    st.integers(1, 4000),
)
def test_frames_survive_any_cut_of_the_stream(sizes: list[int], cut: int) -> None:
    payloads = [bytes([n % 256]) * size for n, size in enumerate(sizes)]
    stream = b"".join(server_frame(p) for p in payloads)
    reader, got = FrameReader(), []
    for at in range(0, len(stream), cut):
        got += reader.feed(stream[at : at + cut])
    assert got == [(1, p) for p in payloads]


@pytest.mark.parametrize("size", [0, 125, 126, 400])
def test_client_frames_are_final_and_masked_with_their_length(size: int) -> None:
    frame = text_frame(b"x" * size)
    assert frame[0] == 0x81
    assert frame[1] & 0x80
    assert frame.endswith(b"\0\0\0\0" + b"x" * size)
    if size >= 126:
        assert int.from_bytes(frame[2:4], "big") == size


@pytest.mark.parametrize("head", [b"\x81\x80", b"\x01\x01"], ids=["masked", "fragment"])
def test_what_a_server_may_not_send_is_an_error(head: bytes) -> None:
    with pytest.raises(WireError):
        FrameReader().feed(head + b"\0" * 10)


@given(st.binary(max_size=300))
def test_junk_from_the_wire_is_frames_or_a_wire_error(junk: bytes) -> None:
    try:
        frames = FrameReader().feed(junk)
    except WireError:
        return
    assert sum(len(p) for _, p in frames) <= len(junk)
