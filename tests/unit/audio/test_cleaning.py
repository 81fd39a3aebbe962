"""Recordings made better: loud enough, and with less noise."""

from __future__ import annotations

import numpy as np
import pytest

from telebot.audio import cleaning
from telebot.audio.cleaning import denoised, normalised
from telebot.audio.levels import level_dbfs

pytestmark = pytest.mark.unit

HZ = 16_000
TIMES = np.arange(4 * HZ) / HZ
TONE = (np.sin(2 * np.pi * 440 * TIMES) * 9000).astype("<i2").tobytes()


@pytest.mark.parametrize("factor", [0.02, 0.3, 3.0])
def test_loudness_is_brought_to_what_recognisers_know(factor):
    quiet = (np.frombuffer(TONE, np.int16) * factor).astype("<i2").tobytes()
    assert level_dbfs(normalised(quiet)) == pytest.approx(-20, abs=0.5)


def test_silence_stays_silence():
    assert normalised(bytes(3200)) == bytes(3200)
    assert normalised(b"") == b""


def test_steady_noise_is_turned_down_and_what_was_said_stays():
    noise = np.random.default_rng(1).normal(0, 300, len(TIMES))
    said = np.where((TIMES > 1) & (TIMES < 3), np.sin(2 * np.pi * 440 * TIMES) * 6000, 0)
    noisy = (said + noise).astype("<i2").tobytes()
    clean = denoised(noisy, HZ)
    assert len(clean) == len(noisy)
    quiet, loud = slice(0, HZ), slice(3 * HZ, 5 * HZ)  # in bytes: the first half second, the words
    assert level_dbfs(clean[quiet]) < level_dbfs(noisy[quiet]) - 8
    assert level_dbfs(clean[loud]) == pytest.approx(level_dbfs(noisy[loud]), abs=1.0)


@pytest.mark.parametrize("pcm16", [b"", bytes(100), bytes(2 * HZ)])
def test_what_is_too_short_or_silent_stays_what_it_is(pcm16):
    assert denoised(pcm16, HZ) == pcm16


def test_a_long_recording_is_cleaned_piece_by_piece_as_a_short_one(monkeypatch):
    rng = np.random.default_rng(7)
    times = np.arange(20 * HZ) / HZ
    tone = np.sin(2 * np.pi * 300 * times) * 8000 * (np.sin(2 * np.pi * 0.5 * times) > 0)
    noisy = (tone + rng.normal(0, 200, len(times))).astype("<i2").tobytes()
    whole = np.frombuffer(denoised(noisy, HZ), np.int16).astype(float)
    monkeypatch.setattr(cleaning, "PIECE_S", 3.1)
    pieces = np.frombuffer(denoised(noisy, HZ), np.int16).astype(float)
    assert len(pieces) == len(whole)
    loud = whole[np.abs(tone) > 4000], pieces[np.abs(tone) > 4000]
    assert np.abs(loud[0] - loud[1]).mean() < 200
    assert level_dbfs(pieces.astype("<i2").tobytes()) == pytest.approx(
        level_dbfs(whole.astype("<i2").tobytes()), abs=0.3
    )
    step = np.abs(np.diff(pieces)).max()
    assert step <= np.abs(np.diff(whole)).max() * 1.1  # no click where two pieces meet
    loudest = normalised(noisy)
    assert len(loudest) == len(noisy)
    assert np.abs(np.frombuffer(loudest, np.int16).astype(int)).max() <= 29_205
