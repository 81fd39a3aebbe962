"""The wires of FreeSWITCH's modules: what their messages say, and what we send.

Shapes: https://github.com/amigniter/mod_audio_stream (README) and, of the fork, the README and
`lws_glue.cpp` of https://github.com/jambonz/freeswitch-modules/tree/main/mod_audio_fork ; the keys
as jambonz passes them (https://www.jambonz.org/docs/webhooks/listen/).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telebot.audio import g711
from telebot.call.events import Digit, Media, Notice, Played, Started
from telebot.carriers.l16 import ForkCodec, PacedL16Codec

pytestmark = pytest.mark.wire

WIRE = Path(__file__).parent
CODECS = {"freeswitch": PacedL16Codec, "audiofork": ForkCodec}
CALL = "1c9de6b0-4c6f-11ef-9a6b-0242ac120002"


def codec(name: str, start: str = "start.json", **known: str):
    fresh = CODECS[name](known)
    return fresh, fresh.decode((WIRE / name / "good" / start).read_bytes())


def message(name: str, file: str) -> bytes:
    return (WIRE / name / "good" / file).read_bytes()


@pytest.mark.parametrize("name", CODECS)
def test_the_metadata_names_the_call(name):
    _, started = codec(name)
    fields = {"id": CALL, "from": "+441632960961", "to": "100"}
    assert started == Started(CALL, CALL, fields)
    _, started = codec(name, "start-16-khz.json", agent="echo", token="old")
    assert (started.parameters["token"], started.parameters["agent"]) == ("a.b.c", "echo")


@pytest.mark.parametrize("name", CODECS)
def test_what_is_said_is_read(name):
    stream, _ = codec(name)
    assert stream.decode_binary(message(name, "media.bin")) == Media(b"\xff" * 160, 0)
    assert stream.decode_binary(message(name, "media-100-ms.bin")) == Media(b"\xff" * 800, 20)
    assert stream.decode_binary(message(name, "media.bin")) == Media(b"\xff" * 160, 120)
    assert stream.decode(message(name, "dtmf.json")) == Digit("2")


@pytest.mark.parametrize("name", CODECS)
def test_a_caller_at_16_khz_and_a_bot_at_8(name):
    stream, _ = codec(name, "start-16-khz.json")
    assert len(stream.decode_binary(b"\0" * 640).audio) == 160
    assert g711.encode(stream.audio(b"\x11" * 640)) == b"\x11" * 640


def test_the_plain_one_sends_in_time_and_no_words():
    stream, _ = codec("freeswitch")
    assert (stream.lead_ms, stream.echoes_marks, stream.binary) == (40, False, True)
    assert (stream.mark("a"), stream.clear(), stream.goodbye("bot_hangup")) == (None, None, ())
    assert g711.encode(stream.audio(b"\x11" * 7)) == b"\x11" * 7


def test_the_forks_commands():
    stream, _ = codec("audiofork")
    assert json.loads(stream.mark('a "b"')) == {"type": "mark", "data": {"name": 'a "b"'}}
    assert json.loads(stream.clear()) == {"type": "killAudio"}
    assert [json.loads(told) for told in stream.goodbye("x")] == [{"type": "disconnect"}]
    assert ForkCodec({}).goodbye("no_start") == ()
    for name in ("mark.json", "mark-cleared.json"):
        assert stream.decode(message("audiofork", name)) == Played("my-mark-1")
    assert stream.decode(message("audiofork", "notice-play-done.json")) == Notice("playDone")


def test_the_fork_gets_no_less_than_it_gathers():
    stream, _ = codec("audiofork")
    assert (stream.piece_ms, len(stream.audio(b"\x11" * 640))) == (80, 1280)
    tail = stream.audio(b"\x11" * 100)
    assert g711.encode(tail) == b"\x11" * 100 + b"\xff" * 540
