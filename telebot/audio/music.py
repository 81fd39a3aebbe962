"""Music for whoever waits: a gentle loop, made here of a few plucked tones.

Pure. `speech/music.py` plays it to a caller while a person is rung up; a trunk can play the same to
a leg on hold.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from telebot.audio.g711 import RATE_HZ, encode

BAR_S = 3.2
PEAK = 0.16  # of full scale: quieter than the voice before it
TONES_A_BAR = 8
DECAY_S = 0.9
TONE_S = 4.0  # then it is not heard any more
ATTACK_S = 0.012
OVERTONES = (1.0, 0.35, 0.12)

# C, A minor, F, G, in half tones from the A of 440 Hz; each is played up and down again
CHORDS = ((-9, -5, -2, 3), (-12, -9, -5, 0), (-16, -12, -9, -4), (-14, -10, -7, -2))
WALK = (0, 1, 2, 3, 2, 3, 1, 2)


@cache
def loop() -> bytes:
    """8 kHz mu-law, about 13 s; its end leads into its beginning."""
    bar = round(BAR_S * RATE_HZ)
    track = np.zeros(bar * len(CHORDS))
    for number, chord in enumerate(CHORDS):
        for step, degree in enumerate(WALK):
            begin = number * bar + step * bar // TONES_A_BAR
            _ring(track, begin, _tone(chord[degree]))
    track *= PEAK * 32767 / np.abs(track).max()
    return encode(track.astype("<i2").tobytes())


def _tone(half_tones: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """A string that is plucked and left alone."""
    t = np.arange(round(TONE_S * RATE_HZ)) / RATE_HZ
    hz = 440.0 * 2 ** (half_tones / 12)
    waves = sum(level * np.sin(2 * np.pi * hz * (n + 1) * t) for n, level in enumerate(OVERTONES))
    swell = np.minimum(t / ATTACK_S, 1.0) * np.exp(-t / DECAY_S)
    return np.asarray(waves * swell)


def _ring(
    track: np.ndarray[tuple[int], np.dtype[np.float64]],
    begin: int,
    tone: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    """Add a tone; what rings on past the end is heard at the beginning."""
    at = (begin + np.arange(len(tone))) % len(track)
    np.add.at(track, at, tone)
