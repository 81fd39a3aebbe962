"""Plivo's stream: what its messages mean, and what we send.

https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telebot.call.events import Digit, Media, Notice, Played, Started, Stopped
from telebot.carriers.plivo_codec import PlivoCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "plivo" / "good"
STREAM = "87654321-4321-4321-4321-cba987654321"
CALL = "12345678-1234-1234-1234-123456789abc"


def _read(name: str, codec: PlivoCodec):
    return codec.decode((GOOD / f"{name}.json").read_bytes())


@pytest.fixture
def codec():
    fresh = PlivoCodec()
    assert isinstance(_read("start", fresh), Started)
    return fresh


@pytest.mark.parametrize("name", ["start", "start-more-headers", "start-headers-in-braces"])
def test_a_start_brings_the_token(name):
    event = _read(name, PlivoCodec())
    assert (event.stream_id, event.carrier_call_id) == (STREAM, CALL)
    assert event.parameters["token"] == "a.b.c"


def test_what_is_said_is_read(codec):
    assert _read("dtmf", codec) == Digit("5")
    assert _read("mark-played-stream", codec) == Played("greeting-complete")
    assert _read("notice-cleared-audio", codec) == Notice("cleared")
    assert _read("stop", codec) == Stopped()
    assert codec.close_ends


def test_time_begins_with_the_first_frame(codec):
    tree = json.loads((GOOD / "media.json").read_bytes())
    times = []
    for late_ms in (0, 20, 60, -20):
        tree["media"]["timestamp"] = str(1705312200000 + late_ms)
        event = codec.decode(json.dumps(tree).encode())
        assert isinstance(event, Media)
        assert event.audio == b"\x7e" * 160
        times.append(event.timestamp_ms)
    assert times == [0, 20, 60, 0]


def test_what_we_send_is_what_plivo_takes(codec):
    assert json.loads(codec.audio(b"\x00\xff\x7e")) == {
        "event": "playAudio",
        "media": {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": "AP9+"},
    }
    assert json.loads(codec.mark('a "name"')) == {
        "event": "checkpoint",
        "streamId": STREAM,
        "name": 'a "name"',
    }
    assert json.loads(codec.clear()) == {"event": "clearAudio", "streamId": STREAM}
