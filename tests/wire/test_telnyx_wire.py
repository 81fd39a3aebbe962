"""Telnyx's stream: what its messages mean, and what we send.

https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming ; `custom_parameters`
stand for the `<Parameter>` of
https://developers.telnyx.com/docs/voice/programmable-voice/texml-verbs/stream .
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from pathlib import Path

import pytest

from telebot.call.events import Digit, Media, Notice, Played, Started, Stopped
from telebot.carriers.telnyx_codec import TelnyxCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "telnyx" / "good"
STREAM = "32DE0DEA-53CB-4B21-89A4-9E1819C043BC"
CALL = "v3:KBnLO0ZK3DhKM5s7bE9VluaSmKsOchKht_fUYvxcp8ysbmzCCtpkmA"


def _read(name: str, codec: TelnyxCodec):
    return codec.decode((GOOD / f"{name}.json").read_bytes())


@pytest.fixture
def codec():
    fresh = TelnyxCodec()
    assert isinstance(_read("start", fresh), Started)
    return fresh


@pytest.mark.parametrize("name", ["start", "start-of-a-call-we-dialled", "start-x-mulaw"])
def test_a_start_brings_the_token(name):
    event = _read(name, TelnyxCodec())
    assert event == Started(STREAM, CALL, {"token": "a.b.c"})


def test_what_is_said_is_read(codec):
    assert _read("media", codec) == Media(b"\x7e" * 160, 60)
    assert _read("dtmf", codec) == Digit("1")
    assert _read("mark", codec) == Played("some_mark_name")
    assert _read("notice-error", codec) == Notice("error")
    assert _read("stop", codec) == Stopped()


def test_what_we_send_is_what_telnyx_takes(codec):
    spoken = b"\x00\xff\x7e" * 100
    message = json.loads(codec.audio(spoken))
    assert message == {"event": "media", "media": {"payload": b64encode(spoken).decode()}}
    short = json.loads(codec.audio(b"\x00"))["media"]["payload"]
    assert b64decode(short) == b"\x00" + b"\xff" * 159  # Telnyx takes 20 ms at least
    assert json.loads(codec.mark('a "name"')) == {"event": "mark", "mark": {"name": 'a "name"'}}
    assert json.loads(codec.clear()) == {"event": "clear"}
