"""Recordings of a wide line: 16 kHz, the caller as heard, the bot brought there without a seam."""

from __future__ import annotations

import os

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio.line import TICKS_PER_S, WIDE
from telebot.records import wav
from telebot.records.track import BOT, CALLER, Track

pytestmark = pytest.mark.unit

RATE_HZ = WIDE.hears.rate_hz
SECOND = TICKS_PER_S


def tone(rate_hz: int, hz: float, seconds: float) -> bytes:
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    return (np.sin(2 * np.pi * hz * t) * 9000).astype(np.int16).tobytes()


def cut(audio: bytes, ticks: int, bytes_a_tick: int) -> list[tuple[int, bytes]]:
    step = ticks * bytes_a_tick
    return [(at // bytes_a_tick, audio[at : at + step]) for at in range(0, len(audio), step)]


@pytest.fixture
def track(tmp_path):
    track = Track(wav.create(tmp_path / "call.wav", RATE_HZ), WIDE)
    yield track
    os.close(track.descriptor)


def read(tmp_path):
    samples, rate_hz = soundfile.read(tmp_path / "call.wav", dtype="int16")
    assert rate_hz == RATE_HZ
    return samples


@given(
    pieces=st.lists(
        st.tuples(st.integers(0, 2 * SECOND), st.integers(0, 300), st.booleans()), max_size=20
    )
)
def test_what_a_client_says_is_at_its_moment(tmp_path_factory, pieces):
    path = tmp_path_factory.mktemp("wav") / "call.wav"
    track = Track(wav.create(path, RATE_HZ), WIDE)
    expected, end = np.zeros(3 * RATE_HZ, np.int16), 0
    for number, (at, ticks, flush) in enumerate(pieces):
        samples = np.full(2 * ticks, number + 1, np.int16)
        track.put(CALLER, [(at, samples.tobytes())], elapsed_s=4)
        expected[2 * at : 2 * (at + ticks)] = samples
        end = max(end, 2 * (at + ticks)) if ticks else end
        if flush:
            track.flush()
    track.flush(last=True)
    assert track.seconds == end / RATE_HZ
    os.close(track.descriptor)
    if end:
        samples, rate_hz = soundfile.read(path, dtype="int16")
        assert rate_hz == RATE_HZ
        assert np.array_equal(samples[:, CALLER], expected[:end])
        assert not samples[:, BOT].any()


def test_the_bots_pieces_join_without_a_seam_where_they_were_played(track, tmp_path):
    audio = tone(WIDE.says.rate_hz, 5000, 2.0)
    for at, piece in cut(audio, 777, WIDE.says.bytes_a_tick):
        track.put(BOT, [(SECOND + at, piece)], elapsed_s=4)
        track.flush()
    track.flush(last=True)
    bot = read(tmp_path)[:, BOT].astype(float)
    assert not bot[: RATE_HZ - 1].any()
    sound = bot[RATE_HZ + 100 : 3 * RATE_HZ - 200]
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    tone_power = spectrum[np.abs(hz - 5000) < 20].sum()
    assert spectrum[np.abs(hz - 5000) > 100].sum() < 1e-5 * tone_power, "no click at any seam"


def test_a_new_reply_begins_where_it_was_played(track, tmp_path):
    click = np.zeros(2400, np.int16)
    click[1200] = 20_000
    for at in (0, 5000, 12_001):
        track.put(BOT, [(at, click.tobytes())], elapsed_s=4)
    track.flush(last=True)
    bot = np.abs(read(tmp_path)[:, BOT].astype(int))
    for at in (0, 5000, 12_001):
        begins = 2 * at
        loudest = begins + int(bot[begins : begins + 1600].argmax())
        assert abs(loudest - (begins + 800)) <= 40, "2.5 ms at the most"


def test_a_recording_that_was_cut_off_keeps_its_rate(track, tmp_path):
    track.put(CALLER, [(0, tone(RATE_HZ, 300, 1.0))], elapsed_s=2)
    track.flush(last=True)
    path = tmp_path / "call.wav"
    with path.open("ab") as file:
        file.write(bytes(4 * RATE_HZ + 3))
    assert wav.repair(path) == 2.0
    assert len(read(tmp_path)) == 2 * RATE_HZ
    raw = bytearray(path.read_bytes())
    raw[24:28] = (44_100).to_bytes(4, "little")
    path.write_bytes(raw)
    assert wav.repair(path) is None, "none of ours"
