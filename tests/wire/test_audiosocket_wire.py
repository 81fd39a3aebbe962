"""AudioSocket: what its packets say, and what we send.

Types and codes: https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/ and the README
of https://github.com/CyCoreSystems/audiosocket .
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from telebot.audio import g711
from telebot.call.events import Digit, Ignored, Media, Started, Stopped
from telebot.carriers.audiosocket_codec import RATES_HZ, AudioSocketCodec

pytestmark = pytest.mark.wire

GOOD = Path(__file__).parent / "audiosocket" / "good"
IDENTITY = UUID("10111213-1415-1617-1819-1a1b1c1d1e1f")


def codec(**known: tuple[str, str]):
    fresh = AudioSocketCodec(lambda identity: known.get("of", (str(identity), "")))
    return fresh, fresh.decode_binary((GOOD / "start.bin").read_bytes())


def test_an_identity_that_nobody_asked_for_names_the_call():
    assert codec()[1] == Started(str(IDENTITY), str(IDENTITY), {})


def test_an_identity_that_was_fetched_stands_for_its_call():
    _, started = codec(of=("1761245643.1", "a.b.c"))
    assert started == Started(str(IDENTITY), "1761245643.1", {"token": "a.b.c"})


def test_what_is_said_is_read():
    stream, _ = codec()
    message = (GOOD / "media.bin").read_bytes()
    assert stream.decode_binary(message) == Media(b"\xff" * 160, 0)
    assert stream.decode_binary(message) == Media(b"\xff" * 160, 20)
    assert stream.decode_binary((GOOD / "dtmf-lower-case.bin").read_bytes()) == Digit("A")
    for name in ("stop.bin", "stop-caller-hung-up.bin"):
        assert stream.decode_binary((GOOD / name).read_bytes()) == Stopped()
    assert stream.decode(b"text") == Ignored("text")


@pytest.mark.parametrize("kind", RATES_HZ, ids=hex)
def test_it_speaks_the_rate_that_it_hears(kind):
    rate_hz = RATES_HZ[kind]
    stream, _ = codec()
    tone = (np.sin(np.arange(rate_hz // 50) * 2 * np.pi * 400 / rate_hz) * 9000).astype(np.int16)
    heard = 0
    for _ in range(10):
        packet = bytes((kind,)) + len(tone.tobytes()).to_bytes(2) + tone.tobytes()
        heard += len(stream.decode_binary(packet).audio)
    assert heard == pytest.approx(1600, abs=16)
    said = stream.audio(g711.encode(b"\x11\x22" * 160))
    assert said[0] == kind
    assert int.from_bytes(said[1:3]) == len(said) - 3
    assert (len(said) - 3) / 2 == pytest.approx(rate_hz / 50, abs=8)


@pytest.mark.parametrize("size", [1, 100, 160, 161])
def test_audio_goes_out_in_frames_of_20_ms(size):
    stream, _ = codec()
    said = stream.audio(b"\x11" * size)
    assert (len(said) - 3) % 320 == 0
    assert g711.encode(said[3:])[:size] == b"\x11" * size


def test_it_says_goodbye_and_keys_nothing():
    stream, _ = codec()
    assert stream.goodbye("bot_hangup") == (b"\0\0\0",)
    assert (stream.clear(), stream.mark("a"), stream.lead_ms) == (None, None, 40)
