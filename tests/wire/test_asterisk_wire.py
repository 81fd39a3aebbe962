"""Asterisk's WebSocket channel: what its messages say, and what we send.

Shapes: https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ ; those of the first
versions as that page had them, those of 22.8 as `channels/chan_websocket.c` writes them.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from telebot.audio import g711
from telebot.call.errors import BadWire
from telebot.call.events import Digit, Media, Notice, Played, Started
from telebot.carriers.asterisk_codec import AsteriskCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "asterisk" / "good"
PARAMETERS = {"id": "1761245640.7", "from": "+441632960961", "to": "100"}


def codec(start: str = "start.json", parameters=PARAMETERS):
    fresh = AsteriskCodec(parameters)
    return fresh, fresh.decode((GOOD / start).read_bytes())


def message(name: str) -> bytes:
    return (GOOD / name).read_bytes()


def test_the_call_is_the_one_that_the_url_names():
    _, started = codec()
    assert started == Started("media_connection1", "1761245640.7", PARAMETERS)
    _, started = codec(parameters={"token": "a.b.c"})
    assert (started.carrier_call_id, started.parameters["token"]) == ("1761245643.1", "a.b.c")


def test_a_first_version_that_names_no_channel_gives_calls_of_their_own():
    first, second = (codec("start-plain-first-versions.txt", {})[1] for _ in range(2))
    assert first.carrier_call_id != second.carrier_call_id
    assert first.stream_id == "e226e283-c90a-4ea9-9e37-389000b9ef47"


def test_what_is_said_is_read():
    stream, _ = codec()
    assert stream.decode_binary(message("media.bin")) == Media(b"\x7e" * 160, 0)
    assert stream.decode_binary(message("media.bin")) == Media(b"\x7e" * 160, 20)
    assert stream.decode(message("dtmf.json")) == Digit("5")
    assert stream.decode(message("dtmf-plain.txt")) == Digit("#")
    assert stream.decode(message("dtmf-plain-lower-case.txt")) == Digit("D")
    for name in ("mark.json", "mark-plain.txt"):
        assert stream.decode(message(name)) == Played("0:160:1")
    assert stream.decode(message("notice-xon-plain.txt")) == Notice("MEDIA_XON")


def test_commands_in_the_format_that_asterisk_speaks():
    stream, _ = codec()
    assert stream.accepted() == (b'{"command":"ANSWER"}',)
    assert json.loads(stream.mark("0:160:1")) == {
        "command": "MARK_MEDIA",
        "correlation_id": "0:160:1",
    }
    assert stream.clear() == b'{"command":"FLUSH_MEDIA"}'
    assert stream.goodbye("bot_hangup") == (b'{"command":"HANGUP"}',)
    plain, _ = codec("start-plain-first-versions.txt")
    assert plain.accepted() == (b"ANSWER",)
    assert plain.mark("0:160:1") == b"STOP_MEDIA_BUFFERING 0:160:1"
    assert plain.clear() == b"FLUSH_MEDIA"
    assert plain.goodbye("bot_hangup") == (b"HANGUP",)
    assert AsteriskCodec({}).goodbye("no_start") == ()


def test_every_mark_fits_into_a_command():
    stream, _ = codec()
    assert len(stream.mark(f"{10**6}:{8000 * 86_400}:{10**7}")) <= 128


@pytest.mark.parametrize("size", [1, 159, 160, 161, 800])
def test_audio_goes_out_in_whole_frames(size):
    stream, _ = codec()
    out = stream.audio(b"\x11" * size)
    assert len(out) % 160 == 0
    assert out[:size] == b"\x11" * size
    assert set(out[size:]) <= {0xFF}


def test_a_law():
    stream, _ = codec("start-plain-alaw.txt")
    alaw = stream.audio(bytes(range(256)) + b"\x40" * 64)
    assert alaw != bytes(range(256)) + b"\x40" * 64
    back = stream.decode_binary(alaw)
    heard, said = g711.decode(back.audio), g711.decode(bytes(range(256)) + b"\x40" * 64)
    assert len(heard) == len(said)
    assert stream.audio(b"\x11" * 100)[-1:] == b"\xd5"  # A-law's silence


def test_linear_audio_at_16_khz():
    stream, _ = codec("start-slin16.json")
    assert len(stream.audio(b"\x11" * 160)) == 640
    heard = stream.decode_binary(b"\0" * 640)
    assert len(heard.audio) == 160
    assert stream.decode_binary(b"\0" * 640).timestamp_ms == 20


def test_a_format_nobody_here_decodes_is_refused():
    with pytest.raises(BadWire, match=r"opus: dial with c\(ulaw\)"):
        AsteriskCodec({}).decode((GOOD.parent / "closes" / "1003" / "opus.json").read_bytes())
