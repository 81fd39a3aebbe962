"""MP3 in any pieces: how long it is, whether it can be heard, and what is none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.audio import files
from telebot.audio.mp3 import Mp3Ear, NoMp3

pytestmark = pytest.mark.unit

AUDIBLE_DBFS = -60.0
TAG = b"ID3\4\0\0\0\0\1\x10" + b"\0" * 0x90


def mp3(seconds: float, *, silent_s: float = 0.0, hz: int = 24_000) -> bytes:
    at = np.arange(round(seconds * hz)) / hz
    voice = (np.sin(2 * np.pi * 220 * at) * 9000 * (at >= silent_s)).astype("<i2").tobytes()
    encoder = files.Encoder("mp3", hz)
    return encoder.feed(voice) + encoder.finish()


def bare(data: bytes) -> bytes:
    """Without the tag that the encoder writes."""
    return data[data.index(b"\xff", 10) :]


def heard(data: bytes, size: int) -> Mp3Ear:
    ear = Mp3Ear(AUDIBLE_DBFS)
    for at in range(0, len(data), size):
        ear.feed(data[at : at + size])
    return ear


@pytest.mark.parametrize("hz", [8000, 16_000, 24_000, 44_100])
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_its_length_and_rate_in_any_pieces(hz: int, size: int) -> None:
    data = mp3(1.0, hz=hz)
    pcm16, rate_hz = files.decoded(data, longest_s=10)
    for form in (data, bare(data), TAG + bare(data)):
        ear = heard(form, size)
        assert ear.rate_hz == hz
        assert ear.audible
        # the encoder's delay, and its frame of information, count as sound here
        assert ear.seconds == pytest.approx(len(pcm16) / 2 / rate_hz, abs=3 * 1152 / hz)


def test_silence_is_not_heard_and_sound_behind_it_is() -> None:
    data = bare(mp3(2.0, silent_s=1.0))
    ear = Mp3Ear(AUDIBLE_DBFS)
    for at in range(0, len(data), 100):
        if ear.audible:
            break
        ear.feed(data[at : at + 100])
    assert 0.9 < ear.seconds < 1.3
    assert not heard(bare(mp3(1.0, silent_s=1.0)), 4096).audible


@pytest.mark.parametrize(
    "data", [b"<!doctype html>" * 9000, b"\0" * 100_000, b"ID3\4\0\0\x7f\x7f\x7f\x7f" + b"\0" * 99]
)
def test_what_is_none(data: bytes) -> None:
    with pytest.raises(NoMp3):
        heard(data, 5000)


@settings(max_examples=60)
@given(st.binary(max_size=200), st.integers(0, 4000), st.integers(1, 3000))
def test_any_bytes_in_the_middle(junk: bytes, where: int, size: int) -> None:
    data = bare(mp3(0.3))
    try:
        ear = heard(data[:where] + junk + data[where:], size)
    except NoMp3:
        return
    assert 0 <= ear.seconds < 30
