"""Vonage's stream: what its messages mean, and what we send.

https://developer.vonage.com/en/voice/voice-api/concepts/websockets
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import g711
from telebot.call.events import Digit, Media, Notice, Played, Started
from telebot.carriers.vonage_codec import VonageCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "vonage" / "good"
CALL = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"


def _read(name: str, codec: VonageCodec):
    return codec.decode((GOOD / f"{name}.json").read_bytes())


@pytest.fixture
def codec():
    fresh = VonageCodec()
    assert isinstance(_read("start", fresh), Started)
    return fresh


@pytest.mark.parametrize("name", ["start", "start-without-content-type"])
def test_the_first_message_brings_the_token_and_the_call(name):
    event = _read(name, VonageCodec())
    assert (event.stream_id, event.carrier_call_id) == (CALL, CALL)
    assert event.parameters["token"] == "a.b.c"


def test_what_is_said_is_read(codec):
    assert _read("dtmf", codec) == Digit("5")
    assert _read("dtmf-as-an-object", codec) == Digit("5")
    assert _read("mark-notify", codec) == Played("my label")
    assert _read("mark-notify-short", codec) == Played("my label")
    assert _read("notice-cleared", codec) == Notice("cleared")
    assert codec.close_ends


def test_audio_is_linear_and_counted(codec):
    frame = (GOOD / "media.bin").read_bytes()
    events = [codec.decode_binary(frame) for _ in range(3)]
    assert [event.timestamp_ms for event in events] == [0, 20, 40]
    assert all(event == Media(g711.encode(frame), event.timestamp_ms) for event in events)


def test_what_we_send_is_what_vonage_takes(codec):
    assert (codec.binary, codec.piece_ms) == (True, 20)
    assert codec.audio(b"\x00" * 160) == g711.decode(b"\x00" * 160)
    assert codec.audio(b"\x00") == g711.decode(b"\x00") + bytes(318)
    assert json.loads(codec.mark('a "name"')) == {
        "action": "notify",
        "payload": {"mark": 'a "name"'},
    }
    assert json.loads(codec.clear()) == {"action": "clear"}


@given(st.binary(min_size=1, max_size=160))
def test_a_message_is_320_bytes(ulaw):
    assert len(VonageCodec().audio(ulaw)) == 320
