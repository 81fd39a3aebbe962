"""How many words of a sentence a voice said before it failed."""

from __future__ import annotations

import numpy as np
import pytest

from telebot.providers.spoken import Word
from telebot.providers.utterance import RATE_HZ, Muted, Utterance

pytestmark = pytest.mark.unit

WORDS = (Word(0.0, 0.3, "We"), Word(0.3, 0.6, "are"), Word(0.6, 1.0, "open"))
TEXT = [word.text for word in WORDS]


def tone(seconds: float) -> bytes:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return (8000 * np.sin(2 * np.pi * 300 * t)).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


@pytest.mark.parametrize(("seconds", "said"), [(0.1, 0), (0.3, 1), (0.5, 1), (0.62, 2), (1.0, 3)])
def test_a_word_counts_once_it_was_said_whole(seconds: float, said: int) -> None:
    utterance = Utterance(TEXT, at_s=0.0)
    utterance.feed(tone(seconds))
    assert utterance.complete(WORDS) == said


def test_words_that_should_lie_in_a_silence_were_not_said() -> None:
    utterance = Utterance(TEXT, at_s=0.0)
    with pytest.raises(Muted):
        utterance.feed(tone(0.4) + silence(2.0))
    utterance = Utterance(TEXT, at_s=0.0)
    utterance.feed(tone(0.4) + silence(0.24))
    assert utterance.audio_s == pytest.approx(0.64)
    assert utterance.complete(WORDS) == 1


def test_a_voice_that_was_silent_from_the_start_said_nothing() -> None:
    utterance = Utterance(TEXT, at_s=0.0)
    utterance.feed(silence(0.24))
    assert (utterance.loud_s, utterance.complete(WORDS)) == (0.0, 0)


def test_a_pause_within_a_sentence_is_none() -> None:
    utterance = Utterance(TEXT, at_s=0.0)
    utterance.feed(tone(0.3) + silence(0.3) + tone(0.4))
    assert utterance.complete(WORDS) == 3
