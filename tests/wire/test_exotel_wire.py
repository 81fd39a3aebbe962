"""Exotel's stream: what its messages mean, and what we send.

https://developer.exotel.com/docs/agentstream/stream-voicebot-applet
"""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import g711
from telebot.call.events import Digit, Media, Played, Started, Stopped
from telebot.carriers.exotel_codec import ExotelCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "exotel" / "good"
STREAM = "c8b1a3f2d4e5f6a7b8c9d0e1f2a3b4c5"
CALL = "80bfbec2d78bbbf10fb851f4fa165211"
NUMBERS = {"from": "+919876543210", "to": "+911234567890"}


def _read(name: str, codec: ExotelCodec):
    return codec.decode((GOOD / f"{name}.json").read_bytes())


@pytest.fixture
def codec():
    fresh = ExotelCodec()
    assert isinstance(_read("start", fresh), Started)
    return fresh


def test_a_start_says_whose_call_it_is():
    said = {"key1": "value1", "agent": "echo", **NUMBERS}
    assert _read("start", ExotelCodec()) == Started(STREAM, CALL, said)
    assert _read("start-audio-x-raw", ExotelCodec()).parameters == said
    assert _read("start-without-parameters", ExotelCodec()).parameters == NUMBERS


def test_the_token_is_the_urls_and_no_other():
    assert _read("start", ExotelCodec("a.b.c")).parameters["token"] == "a.b.c"
    tree = json.loads((GOOD / "start.json").read_bytes())
    tree["start"]["custom_parameters"]["token"] = "x.y.z"
    event = ExotelCodec().decode(json.dumps(tree).encode())
    assert "token" not in event.parameters


def test_what_is_said_is_read(codec):
    pcm16 = (1000).to_bytes(2, "little", signed=True) * 160
    assert _read("media", codec) == Media(g711.encode(pcm16), 60)
    assert _read("dtmf", codec) == Digit("5")
    assert _read("mark", codec) == Played("my-label")
    assert _read("stop", codec) == Stopped()


def test_what_we_send_is_what_exotel_takes(codec):
    message = json.loads(codec.audio(b"\x00" * 1600))
    payload = message["media"].pop("payload")
    assert message == {"event": "media", "stream_sid": STREAM, "media": {}}
    assert b64decode(payload) == g711.decode(b"\x00" * 1600)
    assert json.loads(codec.mark("x")) == {
        "event": "mark",
        "stream_sid": STREAM,
        "mark": {"name": "x"},
    }
    assert json.loads(codec.clear()) == {"event": "clear", "stream_sid": STREAM}


@given(st.binary(min_size=1, max_size=1600))
def test_a_message_is_3200_bytes(ulaw):
    codec = ExotelCodec()
    _read("start", codec)
    payload = b64decode(json.loads(codec.audio(ulaw))["media"]["payload"])
    assert len(payload) == 3200
