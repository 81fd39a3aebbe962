"""Linear audio of a wire against mu-law: nothing is lost, nothing waits, nothing folds back."""

from __future__ import annotations

import numpy as np
import pytest

from telebot.audio import g711
from telebot.audio.wideband import Narrow, Widen

pytestmark = pytest.mark.unit

RATES = (8000, 12000, 16000, 24000, 32000, 44100, 48000)


def tone(hz: float, rate_hz: int, seconds: float = 1.0) -> bytes:
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return (np.sin(2 * np.pi * hz * at) * 8000).astype(np.int16).tobytes()


def level(pcm16: bytes, hz: float, rate_hz: int) -> float:
    """How strong a tone is, against the 8000 it was made with; the middle of the piece."""
    samples = np.frombuffer(pcm16, np.int16).astype(float)
    samples = samples[len(samples) // 4 : -len(samples) // 4]
    at = np.arange(len(samples)) / rate_hz
    return 2 * abs(np.mean(samples * np.exp(-2j * np.pi * hz * at))) / 8000


def pieces(whole: bytes, size: int) -> list[bytes]:
    return [whole[at : at + size] for at in range(0, len(whole), size)]


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("hz", [300, 1000, 3000])
def test_a_voice_passes_both_ways(rate_hz, hz):
    narrow, widen = Narrow(rate_hz), Widen(rate_hz)
    frames = pieces(tone(hz, rate_hz), rate_hz // 50 * 2)
    down = g711.decode(b"".join(narrow.feed(frame) for frame in frames))
    assert level(down, hz, 8000) == pytest.approx(1, abs=0.15)
    ulaw = pieces(g711.encode(tone(hz, 8000)), 160)
    up = b"".join(widen.feed(frame) for frame in ulaw)
    assert level(up, hz, rate_hz) == pytest.approx(1, abs=0.15)


@pytest.mark.parametrize("rate_hz", [16000, 24000, 32000, 48000])
def test_each_frame_comes_out_as_long_as_it_went_in(rate_hz):
    narrow, widen = Narrow(rate_hz), Widen(rate_hz)
    for frame in pieces(tone(440, rate_hz, 0.2), rate_hz // 50 * 2):
        assert len(narrow.feed(frame)) == 160
    for frame in pieces(g711.encode(tone(440, 8000, 0.2)), 160):
        assert len(widen.feed(frame)) == rate_hz // 50 * 2


@pytest.mark.parametrize("rate_hz", [16000, 24000, 48000])
def test_what_a_telephone_cannot_carry_does_not_fold_back(rate_hz):
    narrow = Narrow(rate_hz)
    down = g711.decode(narrow.feed(tone(5500, rate_hz)))
    assert level(down, 2500, 8000) < 0.02


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("size", [2, 6, 14, 322])
def test_frames_of_any_size_make_the_same_stream(rate_hz, size):
    whole = tone(700, rate_hz, 0.1)
    at_once = Narrow(rate_hz).feed(whole)
    narrow = Narrow(rate_hz)
    in_pieces = b"".join(narrow.feed(piece) for piece in pieces(whole, size))
    assert abs(len(in_pieces) - len(at_once)) <= 8
    same = min(len(in_pieces), len(at_once))
    assert in_pieces[:same] == at_once[:same]


def test_nothing_and_half_a_sample():
    assert Narrow(16000).feed(b"") == b""
    assert Narrow(8000).feed(b"\x01") == b""
    assert Widen(16000).feed(b"") == b""
