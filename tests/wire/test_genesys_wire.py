"""Genesys's Audio Connector: what its messages say, and what we send.

Shapes: https://developer.genesys.cloud/devapps/audiohook/protocol-reference and `src/protocol/` of
https://github.com/GenesysCloudBlueprints/audioconnector-server-reference-implementation .
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telebot.call.events import Digit, Media, Reply, Started
from telebot.carriers.genesys_codec import GenesysCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "genesys" / "good"
SESSION = "e160e428-53e2-487c-977d-96989bf5c99d"


def codec(start: str = "start.json"):
    fresh = GenesysCodec()
    return fresh, fresh.decode((GOOD / start).read_bytes())


def test_the_session_is_the_call():
    _, started = codec()
    told = {
        "from": "+15551234567",
        "to": "+18005551234",
        "agent": "echo",
        "conversation": "090eaa2f-72fa-480a-83e0-8667ff89c0ec",
    }
    assert started == Started(SESSION, SESSION, told)


def test_every_message_is_numbered_and_knows_the_last_one_heard():
    stream, _ = codec()
    [opened] = stream.accepted()
    assert json.loads(opened) == {
        "version": "2",
        "type": "opened",
        "seq": 1,
        "clientseq": 1,
        "id": SESSION,
        "parameters": {
            "startPaused": False,
            "media": [{"type": "audio", "format": "PCMU", "channels": ["external"], "rate": 8000}],
        },
    }
    pong = stream.decode((GOOD / "reply-ping.json").read_bytes())
    assert isinstance(pong, Reply)
    told = json.loads(pong.message)
    assert (told["type"], told["seq"], told["clientseq"]) == ("pong", 2, 2)
    told = json.loads(stream.clear())
    assert (told["type"], told["seq"], told["clientseq"]) == ("event", 3, 2)
    assert told["parameters"] == {"entities": [{"type": "barge_in", "data": {}}]}
    closed = stream.decode((GOOD / "reply-close.json").read_bytes())
    assert json.loads(closed.message)["type"] == "closed"


def test_what_is_said_is_read():
    stream, _ = codec()
    assert stream.decode_binary((GOOD / "media.bin").read_bytes()) == Media(b"\x7e" * 1600, 0)
    assert stream.decode_binary(b"\x11" * 800) == Media(b"\x11" * 800, 200)
    assert stream.decode((GOOD / "dtmf.json").read_bytes()) == Digit("5")


def test_of_two_channels_the_caller():
    stream, _ = codec("start-two-channels-alone.json")
    assert stream.decode_binary(b"\x11\x22" * 800) == Media(b"\x11" * 800, 0)
    [opened] = stream.accepted()
    [media] = json.loads(opened)["parameters"]["media"]
    assert media["channels"] == ["external", "internal"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [("bot_hangup", "completed"), ("not_authentic", "unauthorized"), ("server_error", "error")],
)
def test_the_end_is_asked_for(reason, told):
    stream, _ = codec()
    [message] = stream.goodbye(reason)
    tree = json.loads(message)
    assert (tree["type"], tree["parameters"]["reason"]) == ("disconnect", told)
    assert tree["parameters"]["outputVariables"] == {"action": "finished"}
    assert GenesysCodec().goodbye("no_start") == ()


def test_audio_as_it_is_in_pieces_that_it_takes():
    stream, _ = codec()
    assert stream.audio(b"\x11" * 1600) == b"\x11" * 1600
    assert (stream.piece_ms, stream.binary, stream.echoes_marks) == (200, True, False)
