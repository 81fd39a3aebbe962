"""Words laid over somebody else's audio, by numbers that stand for speech."""

from __future__ import annotations

import numpy as np
import pytest

from telebot.providers.spoken import Word
from telebot.providers.word_alignment import RATE_HZ, place_words, stops_early

pytestmark = pytest.mark.unit

HZ = (300, 700, 1500, 2600)  # a "word" is 0.3 s of one tone, with 0.1 s of quiet behind it


def speech(seconds):
    """One tone after another, each as long as told."""
    parts = []
    for hz, length_s in zip(HZ, seconds, strict=False):
        t = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        parts += [np.sin(2 * np.pi * hz * t) * 0.3, np.zeros(RATE_HZ // 10)]
    return np.concatenate(parts).astype(np.float32)


REFERENCE = speech((0.3,) * 4)
WORDS = tuple(Word(i * 0.4, i * 0.4 + 0.3, f"w{i}") for i in range(4))


def test_a_slower_voice_is_followed():
    slow = speech((0.5, 0.3, 0.6, 0.3))
    placed = place_words(slow, REFERENCE, WORDS, whole=True)
    starts = [word.start_s for word in placed]
    assert starts == pytest.approx([0.0, 0.6, 1.0, 1.7], abs=0.08)
    assert [word.text for word in placed] == ["w0", "w1", "w2", "w3"]


def test_words_that_broken_audio_does_not_reach_lie_behind_it():
    broken = speech((0.3, 0.3))
    placed = place_words(broken, REFERENCE, WORDS, whole=False)
    assert [word.end_s <= len(broken) / RATE_HZ + 0.05 for word in placed] == [
        True,
        True,
        False,
        False,
    ]


def test_no_audio_says_nothing():
    assert place_words(np.zeros(10, np.float32), REFERENCE, WORDS, whole=True) == ()


def test_audio_that_breaks_off_is_told_from_a_fast_voice():
    broken, fast = speech((0.3, 0.3, 0.2)), speech((0.18,) * 4)
    assert len(broken) > len(fast) / 2
    assert stops_early(broken, REFERENCE)
    assert not stops_early(fast, REFERENCE)
    assert not stops_early(REFERENCE, REFERENCE)


def test_no_audio_does_not_stop_early():
    assert not stops_early(np.zeros(10, np.float32), REFERENCE)
