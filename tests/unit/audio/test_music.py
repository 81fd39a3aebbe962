"""Music for whoever waits: a loop without a seam, gentle and not silent."""

from __future__ import annotations

import audioop

import numpy as np
import pytest

from telebot.audio.g711 import RATE_HZ, decode
from telebot.audio.levels import level_dbfs
from telebot.audio.music import loop

pytestmark = pytest.mark.unit


def test_it_is_gentle_and_never_silent():
    tune = loop()
    assert 10 <= len(tune) / RATE_HZ <= 20
    levels = [
        level_dbfs(decode(tune[at : at + RATE_HZ // 2]))
        for at in range(0, len(tune) - RATE_HZ // 2, RATE_HZ // 2)
    ]
    assert min(levels) > -35
    assert max(levels) < -20
    assert audioop.max(decode(tune), 2) < 0.2 * 32767


def test_its_end_leads_into_its_beginning():
    samples = np.frombuffer(decode(loop()), np.int16).astype(np.int32)
    steps = np.abs(np.diff(np.concatenate([samples, samples[:1]])))
    assert steps[-1] <= steps.max() / 2, "no click where it begins again"


def test_it_is_made_once():
    assert loop() is loop()
