"""The wire of realtime sessions: what its codec makes of good, wrong and mad messages."""

from __future__ import annotations

import math
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from orjson import dumps, loads

from telebot.audio.line import PHONE, WIDE
from telebot.call.errors import BadWire
from telebot.call.events import Asked, Ignored, Media, Reply, Started, Stopped, Wideband
from telebot.carriers.realtime_codec import MAX_FAULTS, RealtimeCodec
from telebot.voice.session_orders import Interrupt, Reset, SetLanguage, SetProvider, Text
from telebot.voice.sessions import SessionRequest

pytestmark = pytest.mark.wire

EVENTS = (Asked, Ignored, Media, Reply, Started, Stopped, Wideband)


def codec(start: dict[str, Any] | None = None, **fixed: Any) -> RealtimeCodec:
    """One that has started, where time stands still."""
    made = RealtimeCodec("rt_1", SessionRequest.model_validate(fixed), clock=lambda: 5.0)
    event = made.decode(dumps({"type": "start", **(start or {})}))
    assert event == Started("rt_1", "rt_1", {})
    return made


def told(event: object) -> dict[str, Any]:
    assert isinstance(event, Reply)
    return dict(loads(event.message))


@pytest.mark.parametrize(
    ("message", "model"),
    [
        ({"type": "setLanguage", "language": "de-DE"}, SetLanguage),
        ({"type": "setProvider", "provider": {"stt": "deepgram/nova-3"}}, SetProvider),
        ({"type": "text", "text": "Hello", "id": "7"}, Text),
        ({"type": "interrupt"}, Interrupt),
        ({"type": "reset", "id": None}, Reset),
    ],
)
def test_orders(message: dict[str, Any], model: type) -> None:
    event = codec().decode(dumps(message))
    assert isinstance(event, Asked)
    assert isinstance(event.order, model)


def test_a_ping_and_an_end() -> None:
    one = codec()
    assert told(one.decode(b'{"type":"ping","id":"a"}')) == {"type": "pong", "id": "a"}
    assert one.decode(b'{"type":"end"}') == Stopped()


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{", "bad_json"),
        (b"\xff\xfe", "bad_json"),
        (b"[" * 5000, "bad_json"),
        (b'["start"]', "bad_json"),
        (b"{}", "unknown_type"),
        (b'{"type":["ping"]}', "unknown_type"),
        (b'{"type":"start"}', "unknown_type"),
        (b'{"type":"setLanguage"}', "invalid_message"),
        (b'{"type":"setLanguage","language":"german please"}', "invalid_message"),
        (b'{"type":"setProvider","provider":{"stt":5}}', "invalid_message"),
        (b'{"type":"setProvider","provider":{"sort":"beauty"}}', "invalid_message"),
        (b'{"type":"text","text":"  "}', "invalid_message"),
        (b'{"type":"text","text":"a","more":1}', "invalid_message"),
        (b'{"type":"ping","id":5}', "invalid_message"),
    ],
)
def test_what_means_nothing_is_said_and_twenty_are_too_many(message: bytes, code: str) -> None:
    one = codec()
    for _ in range(MAX_FAULTS):
        assert told(one.decode(message))["code"] == code
    with pytest.raises(BadWire) as raised:
        one.decode(message)
    assert raised.value.close_code == 4400
    fatal, ended = (loads(each) for each in one.goodbye("bad_wire"))
    assert (fatal["code"], fatal["fatal"]) == ("too_many_faults", True)
    assert ended == {"type": "ended", "reason": "bad_wire"}


def test_an_answer_bears_the_name_of_its_message() -> None:
    one = codec()
    assert told(one.decode(b'{"type":"sing","id":"9"}'))["id"] == "9"
    assert "id" not in told(one.decode(b'{"type":"sing"}'))


def test_nothing_is_understood_before_the_start() -> None:
    one = RealtimeCodec("rt_1", SessionRequest())
    assert told(one.decode(b'{"type":"ping"}'))["code"] == "before_start"
    assert told(one.decode_binary(b"\0\0"))["code"] == "before_start"
    with pytest.raises(BadWire) as raised:
        one.decode(b'{"type":"start","sample_rate":44100}')
    assert raised.value.close_code == 4400
    assert loads(one.goodbye("bad_wire")[0])["code"] == "invalid_message"


def tone(rate: int, hz: int = 440) -> bytes:
    """A second of it."""
    wave = [round(8000 * math.sin(2 * math.pi * hz * at / rate)) for at in range(rate)]
    return struct.pack(f"<{rate}h", *wave)


@pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
def test_audio_keeps_its_length_and_loudness(rate: int) -> None:
    one = codec({"sample_rate": rate})
    hears, says = one.line.hears, one.line.says
    assert one.line is (PHONE if rate == 8000 else WIDE)
    pcm16 = tone(rate)
    size = rate // 50 * 2
    heard = b""
    for at in range(0, len(pcm16), size):
        event = one.decode_binary(pcm16[at : at + size])
        assert isinstance(event, Media)
        assert event.timestamp_ms == hears.ticks(heard) // 8
        assert len(event.audio) % hears.bytes_a_tick == 0
        heard += event.audio
    assert one.began == 5.0, "time is counted from the start on, not from the first sound"
    assert abs(hears.ticks(heard) - 8000) <= 4
    said, piece = says.from_pcm(tone(says.rate_hz)), 160 * says.bytes_a_tick
    back = b"".join(one.audio(said[at : at + piece]) for at in range(0, len(said), piece))
    assert abs(len(back) - len(pcm16)) <= 4 * rate // 8000
    for audio, hz in ((hears.to_pcm(heard), hears.rate_hz), (back, rate)):
        middle = struct.unpack(f"<{hz // 2}h", audio[hz // 2 : hz // 2 + hz])
        assert 5200 < math.sqrt(sum(s * s for s in middle) / len(middle)) < 6100


@pytest.mark.parametrize("rate", [16_000, 24_000, 48_000])
@pytest.mark.parametrize("size", [1, 3, 127, 255, 1023])
def test_a_wide_client_may_cut_its_audio_anywhere(rate: int, size: int) -> None:
    one, other = codec({"sample_rate": rate}), codec({"sample_rate": rate})
    pcm16 = tone(rate, 5000)[: 60 * size]
    events = [one.decode_binary(pcm16[at : at + size]) for at in range(0, len(pcm16), size)]
    pieces = [event.audio for event in events if isinstance(event, Media)]
    whole = other.decode_binary(pcm16)
    assert all(len(piece) % 4 == 0 for piece in pieces)
    assert len(b"".join(pieces)) == (len(whole.audio) if isinstance(whole, Media) else 0)


def test_half_a_sample_waits_for_its_other_half() -> None:
    one = codec({"sample_rate": 8000})
    one.direct = True
    assert one.decode_binary(b"\x01\x02\x03") == Wideband(b"\x01\x02")
    assert one.decode_binary(b"\x04") == Wideband(b"\x03\x04")
    assert one.decode_binary(b"") == Ignored("empty")
    assert one.audio(b"\x05\x06") == b"\x05\x06"


def test_what_is_too_large_is_said() -> None:
    assert told(codec().decode_binary(bytes(65_538)))["code"] == "too_large"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner),
    max_leaves=12,
)
KINDS = st.sampled_from(
    ["start", "setLanguage", "setProvider", "text", "interrupt", "reset", "ping", "end", "x"]
)
FIELDS = st.sampled_from(["language", "provider", "text", "id", "stt", "sample_rate", "mode"])


@given(st.lists(st.binary(max_size=200) | st.builds(
    lambda kind, more: {"type": kind, **more}, KINDS, st.dictionaries(FIELDS, JSON, max_size=4)
), max_size=30))  # fmt: skip
def test_mad_messages_end_it_at_the_worst(messages: list[Any]) -> None:
    one = RealtimeCodec("rt_1", SessionRequest())
    closed: set[int] = set()
    for message in messages:
        try:
            raw = message if isinstance(message, bytes) else dumps(message)
        except TypeError:  # what JSON itself cannot say
            continue
        for decode in (one.decode, one.decode_binary):
            try:
                assert isinstance(decode(raw), EVENTS)
            except BadWire as bad:
                closed.add(bad.close_code)
    assert closed <= {4400}
    for each in one.goodbye("bad_wire"):
        assert loads(each)["type"] in ("error", "ended")
