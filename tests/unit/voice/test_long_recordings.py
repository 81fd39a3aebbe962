"""Hours are cut without a copy of what is left each time: that grew with the square of the length,
and held up the calls."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from telebot.providers import local_clips
from telebot.providers.clips import Recording, Sound
from telebot.voice import transcribing

pytestmark = pytest.mark.unit
HZ = 8000
LONGEST_S = 25.0


class Watched(bytes):
    """Tells how much of it was copied."""

    copied: int

    def __getitem__(self, key):
        part = super().__getitem__(key)
        self.copied = getattr(self, "copied", 0) + len(part)
        return part


@pytest.mark.parametrize("seconds", [1, 25, 26, 600])
@pytest.mark.parametrize("whose", ["the vendors'", "this machine's"])
def test_a_recording_is_cut_where_it_is_quiet_and_copied_once(seconds, whose):
    noise = np.random.default_rng(3).normal(0, 3000, seconds * HZ)
    noise[:: 7 * HZ] = 0
    pcm16 = Watched(noise.astype("<i2").tobytes())
    sound = Sound(pcm16, HZ)
    cut = transcribing._cuts(sound, LONGEST_S)
    if whose == "this machine's":
        cut = local_clips._cuts(Recording(sound))
    assert (cut[0], cut[-1]) == (0, len(pcm16))
    assert all(0 < end - begin <= LONGEST_S * HZ * 2 for begin, end in pairwise(cut))
    assert all(at % 2 == 0 for at in cut)
    assert getattr(pcm16, "copied", 0) <= 12 * len(pcm16)
