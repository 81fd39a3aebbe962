"""The media stream of Twilio's kind: what the messages of `good/` mean, and what we send."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.events import Digit, Media, Played, Started
from telebot.carriers.media_streams import MediaStreamCodec

pytestmark = pytest.mark.wire

WIRE = Path(__file__).parent
STREAMS = ("twilio", "local")


def codec(name: str, *, started: bool = True) -> MediaStreamCodec:
    """A fresh codec."""
    fresh = MediaStreamCodec()
    if started:
        assert isinstance(fresh.decode((WIRE / name / "good/start.json").read_bytes()), Started)
    return fresh


@pytest.mark.parametrize("name", STREAMS)
def test_what_is_said_is_read(name):
    for path in (WIRE / name / "good").iterdir():
        event = codec(name, started=path.stem != "start").decode(path.read_bytes())
        match event:
            case Started(stream_id, call_id, parameters):
                assert (stream_id[:2], call_id[:2], parameters["token"]) == ("MZ", "CA", "a.b.c")
            case Media(ulaw, timestamp_ms):
                assert (ulaw, timestamp_ms) == (b"\x7e" * 160, 60)
            case Digit(digit):
                assert digit in "1D"
            case Played(mark):
                assert mark == "my label"


@pytest.mark.parametrize("name", STREAMS)
def test_what_we_send_is_what_the_carrier_takes(name):
    stream = codec(name)
    sid = json.loads((WIRE / name / "good/start.json").read_bytes())["streamSid"]
    assert json.loads(stream.audio(b"\x00\xff\x7e")) == {
        "event": "media",
        "streamSid": sid,
        "media": {"payload": "AP9+"},
    }
    assert json.loads(stream.mark('a "name"')) == {
        "event": "mark",
        "streamSid": sid,
        "mark": {"name": 'a "name"'},
    }
    assert json.loads(stream.clear()) == {"event": "clear", "streamSid": sid}


@pytest.mark.parametrize("name", STREAMS)
@given(ulaw=st.binary(min_size=1, max_size=2000))
def test_audio_comes_back_as_it_went(name, ulaw):
    stream = codec(name)
    tree = json.loads(stream.audio(ulaw))
    tree["media"] |= {"timestamp": "20", "track": "inbound"}
    assert stream.decode(json.dumps(tree).encode()) == Media(ulaw, 20)
