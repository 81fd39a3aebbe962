"""G.711 there and back, levels, and lengths after resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.audio import g711, levels
from telebot.audio.resample import ToPhone, resample

pytestmark = pytest.mark.unit

RATES = st.sampled_from([8000, 16000, 22050, 24000, 44100, 48000])


@given(st.binary(max_size=400))
def test_mu_law_survives_a_round_trip(ulaw):
    back = g711.encode(g711.decode(ulaw))
    # mu-law has two zeros; encoding knows one of them
    assert back == ulaw.replace(b"\x7f", b"\xff")


def test_every_sample_comes_back_within_half_a_quantisation_step():
    pcm = np.arange(-32768, 32768).astype(np.int16)
    back = np.frombuffer(g711.decode(g711.encode(pcm.tobytes())), np.int16)
    # a step is at most 1/16 of the level with its bias of 132 (ITU-T G.711 table 2a); of 16 bits
    # the code sees 14
    level = np.abs(pcm.astype(int)) + 132
    assert np.all(np.abs(back.astype(int) - pcm.astype(int)) <= level / 32 + 4)


@given(st.binary(max_size=300))
def test_floats_are_the_decoded_samples(ulaw):
    expected = np.frombuffer(g711.decode(ulaw), np.int16).astype(np.float32) / 32768
    assert np.array_equal(g711.to_float(ulaw), expected)


@given(st.binary(max_size=99).filter(lambda data: len(data) % 2))
def test_half_a_sample_is_refused(pcm):
    with pytest.raises(ValueError, match="even number"):
        g711.encode(pcm)


def test_silence_is_silent():
    assert levels.ulaw_rms(g711.SILENCE * 160) == 0
    assert levels.level_dbfs(g711.decode(g711.SILENCE * 160)) == -96.0
    assert g711.BYTES_PER_MS * 20 == 160


@given(st.lists(st.integers(-32767, 32767), min_size=1, max_size=300))
def test_levels_stay_on_their_scale(samples):
    pcm = np.array(samples, np.int16)
    expected = float(np.sqrt(np.mean(pcm.astype(float) ** 2)))
    assert abs(levels.rms(pcm.tobytes()) - expected) <= 1
    assert -96.0 <= levels.level_dbfs(pcm.tobytes()) <= 0.0


@settings(deadline=None)
@given(rate=RATES, samples=st.integers(1, 4000))
def test_a_piece_keeps_its_duration(rate, samples):
    pcm = np.zeros(samples, np.int16).tobytes()
    out = resample(pcm, rate, g711.RATE_HZ)
    assert len(out) % 2 == 0
    assert abs(len(out) // 2 - samples * g711.RATE_HZ / rate) <= 1


@settings(deadline=None)
@given(rate=RATES, chunks=st.lists(st.integers(0, 2000), min_size=1, max_size=8))
def test_a_stream_keeps_its_duration_however_it_is_cut(rate, chunks):
    stream = ToPhone(rate)
    out = b"".join(
        stream.feed(np.zeros(chunk, np.int16).tobytes(), last=n == len(chunks) - 1)
        for n, chunk in enumerate(chunks)
    )
    assert abs(len(out) // 2 - sum(chunks) * g711.RATE_HZ / rate) <= 1


def test_a_tone_keeps_its_pitch_and_its_level():
    at = np.arange(24000) / 24000
    tone = (10_000 * np.sin(2 * np.pi * 440 * at)).astype(np.int16)
    out = np.frombuffer(resample(tone.tobytes(), 24000, 8000), np.int16)
    spectrum = np.abs(np.fft.rfft(out.astype(float)))
    assert np.argmax(spectrum) == 440
    assert abs(levels.level_dbfs(out.tobytes()) - levels.level_dbfs(tone.tobytes())) < 0.2


def test_eight_kilohertz_passes_untouched():
    pcm = b"\x01\x02" * 50
    assert ToPhone(8000).feed(pcm, last=True) is pcm
    assert resample(pcm, 8000, 8000) is pcm
