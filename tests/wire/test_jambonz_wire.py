"""jambonz's `listen`: what its messages say, and what we answer webhooks.

Shapes: https://docs.jambonz.org/verbs/verbs/listen , `lib/tasks/listen.js` and
`lib/session/call-info.js` of https://github.com/jambonz/jambonz-feature-server .
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telebot.call.events import Digit, Media, Played, Started
from telebot.call.model import Call, CallOffer
from telebot.carriers.jambonz import JambonzCarrier, JambonzCodec, JambonzSettings

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "jambonz" / "good"
CALL = "ba01d74c-397e-4c80-9c8f-d57515ca8e86"


def codec():
    fresh = JambonzCodec({})
    return fresh, fresh.decode((GOOD / "start.json").read_bytes())


def test_the_first_message_is_the_call_and_the_token():
    _, started = codec()
    assert isinstance(started, Started)
    assert (started.carrier_call_id, started.parameters["token"]) == (CALL, "a.b.c")


def test_what_is_said_is_read():
    stream, _ = codec()
    assert stream.decode_binary((GOOD / "media.bin").read_bytes()) == Media(b"\xff" * 160, 0)
    assert stream.decode((GOOD / "dtmf.json").read_bytes()) == Digit("2")
    assert stream.decode((GOOD / "mark-cleared.json").read_bytes()) == Played("my-mark-1")


def carrier():
    return JambonzCarrier(JambonzSettings(webhook_secret="s"))


def test_a_call_is_answered_and_streamed_both_ways():
    call = Call("id1", CallOffer("jambonz", CALL, "", ""), "echo", None)
    told = carrier().answer(call, "a.b.c", "wss://bot.example/base/jambonz/media")
    assert told.content_type == "application/json"
    assert json.loads(told.body) == [
        {"verb": "answer"},
        {
            "verb": "listen",
            "url": "wss://bot.example/base/jambonz/media",
            "mixType": "mono",
            "sampleRate": 8000,
            "passDtmf": True,
            "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": 8000},
            "metadata": {"token": "a.b.c"},
            "actionHook": "https://bot.example/base/jambonz/fallback?after=stream",
        },
    ]


@pytest.mark.parametrize(
    ("reason", "verbs"),
    [
        ("capacity", ["say", "hangup"]),
        ("server_error", ["say", "hangup"]),
        ("bot_hangup", ["hangup"]),
        ("duplicate", []),
    ],
)
def test_what_is_said_where_there_is_no_stream(reason, verbs):
    told = json.loads(carrier().apology(reason).body)
    assert [verb["verb"] for verb in told] == verbs
