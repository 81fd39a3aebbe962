"""The forms of a call's audio, and the ways between rates."""

from __future__ import annotations

import numpy as np
import pytest
from band import above_db
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio import g711
from telebot.audio.line import PCM_16K, PCM_24K, PHONE, ULAW, WIDE, Form
from telebot.audio.resample import ToForm
from telebot.audio.wideband import Converted

pytestmark = pytest.mark.unit

FORMS = (ULAW, PCM_16K, PCM_24K)
WAYS = [(16_000, 24_000), (24_000, 16_000), (48_000, 16_000), (24_000, 48_000), (16_000, 8000)]


def tone(hz: float, rate_hz: int, seconds: float = 1.0) -> bytes:
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (np.sin(2 * np.pi * hz * t) * 8000).astype(np.int16).tobytes()


def level_db(pcm16: bytes, rate_hz: int) -> float:
    """Of the middle, against the tone's own level."""
    samples = np.frombuffer(pcm16, np.int16).astype(float)
    middle = samples[rate_hz // 10 : -rate_hz // 10]
    return float(20 * np.log10(max(np.sqrt((middle**2).mean()), 1e-6) * np.sqrt(2) / 8000))


def test_a_tick_is_one_sample_of_a_telephones() -> None:
    assert [form.bytes_a_tick for form in FORMS] == [1, 4, 6]
    assert (PHONE.hears, PHONE.says) == (ULAW, ULAW)
    for form in FORMS:
        second = form.silence(8000)
        assert form.ticks(second) == 8000
        assert len(form.to_pcm(second)) == 2 * form.rate_hz
        assert form.rms(second) == 0
        assert not form.to_float(second).any()
        assert form.from_pcm(form.to_pcm(second)) == second


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rate_hz", [8000, 16_000, 22_050, 24_000, 48_000])
def test_a_voices_audio_comes_out_in_whole_ticks_and_as_long(form: Form, rate_hz: int) -> None:
    spoken = tone(1000, rate_hz)
    to_form, out = ToForm(rate_hz, form), bytearray()
    for at in range(0, len(spoken), 734):  # no whole number of anything
        piece = to_form.feed(spoken[at : at + 734])
        assert len(piece) % form.bytes_a_tick == 0
        out += piece
    out += to_form.feed(b"", last=True)
    assert form.ticks(out) == pytest.approx(8000, abs=2)
    assert len(out) % form.bytes_a_tick == 0
    assert level_db(form.to_pcm(bytes(out)), form.rate_hz) == pytest.approx(0, abs=0.5)


@pytest.mark.parametrize(("from_hz", "to_hz"), WAYS)
def test_what_fits_into_both_rates_passes_and_nothing_is_folded(from_hz: int, to_hz: int) -> None:
    top = min(from_hz, to_hz) / 2
    for hz in (200, 1000, 0.5 * top, 0.8 * top):
        out = Converted(from_hz, to_hz).feed(tone(hz, from_hz))
        assert level_db(out, to_hz) == pytest.approx(0, abs=1.0), hz
    if from_hz > to_hz:
        folded = Converted(from_hz, to_hz).feed(tone(1.25 * top, from_hz))
        assert level_db(folded, to_hz) < -40


def test_what_a_telephone_cuts_off_is_kept_between_wide_rates() -> None:
    hiss = np.random.default_rng(1).normal(0, 3000, 48_000).clip(-32768, 32767)
    pcm16 = hiss.astype(np.int16).tobytes()
    assert above_db(Converted(48_000, 16_000).feed(pcm16), 16_000) > -6
    assert above_db(Converted(16_000, 8000).feed(pcm16), 8000) < -60


@given(sizes=st.lists(st.integers(0, 700), max_size=40), whole=st.sampled_from([2, 4, 6]))
def test_audio_of_any_pieces_is_the_same_audio(sizes: list[int], whole: int) -> None:
    noise = np.random.default_rng(2).integers(-9000, 9000, sum(sizes), np.int16).tobytes()
    one, other = Converted(24_000, 16_000, whole), Converted(24_000, 16_000, whole)
    at, out = 0, b""
    for size in sizes:
        piece = one.feed(noise[2 * at : 2 * (at + size)])
        assert len(piece) % whole == 0
        out, at = out + piece, at + size
    at_once = other.feed(noise)
    apart = np.abs(
        np.frombuffer(out, np.int16).astype(int) - np.frombuffer(at_once, np.int16).astype(int)
    )
    assert len(out) == len(at_once)
    assert not apart.size or apart.max() <= 1, "but for the rounding of a sum"


def test_a_wide_line_hears_what_models_hear_and_says_what_voices_make() -> None:
    assert (WIDE.hears.rate_hz, WIDE.says.rate_hz) == (16_000, 24_000)
    assert ULAW.rate_hz == g711.RATE_HZ
