"""A sentence in one voice: what is handed on of it where the voice falls silent."""

from __future__ import annotations

import numpy as np
import pytest

from telebot.providers.utterance import Muted, Utterance

pytestmark = pytest.mark.unit

WORDS = ("Good", "morning")


def sound(seconds: float, fade_s: float = 0.0) -> bytes:
    """A tone that fades at its end."""
    count = round(seconds * 8000)
    tone = 8000 * np.sin(np.arange(count) * 0.5)
    if fade_s:
        tone[-round(fade_s * 8000) :] *= np.geomspace(1.0, 0.003, round(fade_s * 8000))
    return tone.astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * 8000))


def test_what_comes_before_a_silence_in_the_same_piece_is_handed_on() -> None:
    utterance = Utterance(WORDS, 0.0)
    with pytest.raises(Muted) as muted:
        utterance.feed(sound(0.4) + silence(1.5))
    assert muted.value.pcm16.startswith(sound(0.4))
    assert muted.value.pcm16 == bytes(utterance.pcm)
    assert utterance.sounds_until_s == pytest.approx(0.4)


def test_a_long_pause_is_no_end() -> None:
    utterance = Utterance(WORDS, 0.0)
    assert utterance.feed(sound(0.4) + silence(0.9) + sound(0.2)) == bytes(utterance.pcm)
    assert utterance.audio_s == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("audio", "cut", "abrupt"),
    [
        (sound(0.4) + silence(0.2), True, False),
        (sound(0.4, fade_s=0.08) + silence(0.2), False, False),
        (sound(0.4, fade_s=0.08), False, False),
        (sound(0.4), False, True),  # the voice leaves no silence behind it
        (sound(0.4) + bytes(range(30)), False, True),  # and a scrap that is no sound
    ],
)
def test_a_sound_that_breaks_off(audio: bytes, cut: bool, abrupt: bool) -> None:
    utterance = Utterance(WORDS, 0.0)
    utterance.feed(audio)
    utterance.end()
    assert (utterance.cut_off, utterance.abrupt) == (cut, abrupt)
