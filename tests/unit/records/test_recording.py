"""Recordings: every sample where it was put, whatever order, clock or disk."""

from __future__ import annotations

import asyncio
import audioop
import os
import resource
import wave

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from telebot.audio.g711 import decode
from telebot.records import wav
from telebot.records.recording import MAX_WAITING_TICKS, CallRecording, FileRecorder
from telebot.records.track import AHEAD_S, BOT, CALLER, LAG_TICKS, Track

pytestmark = pytest.mark.unit
SECOND = 8000


def read(path) -> np.ndarray:
    """(n, 2) int16: caller, bot."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def tone(n: int, value: int = 0x10) -> bytes:
    return bytes([value]) * n


@pytest.fixture
def track(tmp_path):
    track = Track(wav.create(tmp_path / "call.wav"))
    yield track
    os.close(track.descriptor)


PIECES = st.lists(
    st.tuples(
        st.sampled_from([CALLER, BOT]),
        st.integers(0, 3 * SECOND),
        st.binary(max_size=400),
        st.booleans(),  # written to the file after this piece
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(pieces=PIECES)
def test_what_was_put_at_a_sample_is_at_that_sample(tmp_path_factory, pieces):
    """Against the plainest model: two arrays, later pieces over earlier ones."""
    path = tmp_path_factory.mktemp("wav") / "call.wav"
    track = Track(wav.create(path))
    expected = np.zeros((4 * SECOND, 2), np.int16)
    end = 0
    for channel, at, ulaw, flush in pieces:
        track.put(channel, [(at, ulaw)], elapsed_s=4)
        expected[at : at + len(ulaw), channel] = np.frombuffer(decode(ulaw), np.int16)
        end = max(end, at + len(ulaw)) if ulaw else end
        if flush:
            track.flush()
    track.flush(last=True)
    os.close(track.descriptor)
    heard = read(path)
    assert len(heard) == end
    np.testing.assert_array_equal(heard, expected[:end])


def test_caller_left_bot_right_and_gaps_are_silence(tmp_path, track):
    track.put(CALLER, [(0, tone(160)), (320, tone(160))], 1)
    track.put(BOT, [(160, tone(160, 0x90))], 1)
    track.flush(last=True)
    heard = read(tmp_path / "call.wav")
    assert len(heard) == 480
    left, right = heard[:, 0], heard[:, 1]
    assert (left[:160] != 0).all()
    assert (left[160:320] == 0).all()
    assert (left[320:] == left[0]).all()
    assert (right[:160] == 0).all()
    assert (right[160:320] > 0).all()
    assert (right[320:] == 0).all()


def test_the_file_is_readable_after_every_write(tmp_path, track):
    """A crash leaves what was written: the header is never behind."""
    for second in range(4):
        track.put(CALLER, [(second * SECOND, tone(SECOND))], second + 1)
        track.flush()
        assert len(read(tmp_path / "call.wav")) == (second + 1) * SECOND - LAG_TICKS
    assert soundfile.info(tmp_path / "call.wav").frames == 4 * SECOND - LAG_TICKS


def test_bot_audio_that_comes_long_after_its_time_is_still_in_its_place(tmp_path, track):
    track.put(CALLER, [(0, tone(5 * SECOND))], 5)
    track.flush()
    track.put(BOT, [(SECOND, tone(2 * SECOND, 0x90))], 5)
    track.flush(last=True)
    heard = read(tmp_path / "call.wav")
    assert np.flatnonzero(heard[:, 1])[[0, -1]].tolist() == [SECOND, 3 * SECOND - 1]
    assert (heard[:, 0] != 0).all()


@settings(max_examples=50, deadline=None)
@given(
    at=st.one_of(st.integers(-(2**70), -1), st.integers(13 * SECOND, 2**70)),
    length=st.integers(1, 500),
)
def test_clocks_gone_wrong_make_no_giant_file(tmp_path_factory, at, length):
    path = tmp_path_factory.mktemp("wav") / "call.wav"
    track = Track(wav.create(path))
    track.put(CALLER, [(0, tone(160)), (at, tone(length)), (160, tone(160))], elapsed_s=1)
    track.flush(last=True)
    os.close(track.descriptor)
    assert len(read(path)) == 320
    assert track.dropped_samples == length
    assert path.stat().st_size <= wav.HEADER_BYTES + int((1.01 + AHEAD_S) * SECOND) * 4


@pytest.fixture
def told():
    return []


@pytest.fixture
async def recorder(tmp_path, time, told):
    recorder = FileRecorder(
        tmp_path, lambda call: call.agent != "private", told_to(told), time.clock
    )
    yield recorder
    await recorder.close()


def told_to(told):
    return lambda *said: told.append(said)


async def test_a_recording_from_start_to_record(tmp_path, scene, recorder, told):
    recording = recorder.start(scene.call())
    for n in range(100):
        recording.caller(tone(160), n * 160)
        recording.bot(tone(160, 0x90), n * 160)
    recording.close()
    recording.caller(tone(160), 0)  # too late
    await recorder.close()
    name = "recordings/2026/11/20/call-1.wav"
    assert told == [
        ("call-1", "live", name, None, None),
        ("call-1", "ready", name, 2.0, None),
    ]
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert len(read(tmp_path / name)) == 2 * SECOND


async def test_closing_the_recorder_finishes_every_file(tmp_path, scene, recorder, told):
    for n in range(5):
        recorder.start(scene.call(f"call-{n}")).caller(tone(800), 0)
    await recorder.close()
    assert sorted(said[0] for said in told if said[1] == "ready") == [f"call-{n}" for n in range(5)]
    assert all(len(read(path)) == 800 for path in tmp_path.rglob("*.wav"))
    assert recorder.start(scene.call("late")) is None


async def test_a_recording_that_failed_is_told_and_counted(scene, recorder, told):
    for call_id in ("good", "broken"):
        recording = recorder.start(scene.call(call_id))
        recording.caller(tone(800) if call_id == "good" else "no audio", 0)
    await recorder.close()
    assert {said[0]: said[1] for said in told} == {"good": "ready", "broken": "failed"}
    assert recorder.failed == 1


async def test_no_recording_where_it_is_not_wanted_or_the_id_is_no_file_name(
    tmp_path, scene, recorder
):
    private = scene.call()
    private.agent = "private"
    assert recorder.start(private) is None
    assert recorder.start(scene.call("../../etc/passwd")) is None
    assert list(tmp_path.rglob("*.wav")) == []


def recording_at(path, time) -> CallRecording:
    return CallRecording("call-1", path, "call.wav", time.clock)


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path, time):
    """The kernel refuses to let the file grow, as a full disk does."""
    path = tmp_path / "call.wav"
    recording = recording_at(path, time)
    recording.caller(tone(SECOND), 0)
    time.pass_(2)
    recording.write(time.clock())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, hard))
    try:
        recording.caller(tone(4 * SECOND), SECOND)
        time.pass_(4)
        recording.write(time.clock())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert recording.error == "EFBIG"
    recording.caller(tone(160), 5 * SECOND)
    recording.close()
    recording.write(time.clock())
    state, seconds = recording.finish()
    assert (state, seconds) == ("failed", 0.5)
    assert len(read(path)) == SECOND // 2


def test_a_disk_that_is_full_from_the_start_is_named_once_and_leaves_no_file(tmp_path, time):
    path = tmp_path / "call.wav"
    recording = recording_at(path, time)
    recording.caller(tone(160), 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with capture_logs() as lines:
            for _ in range(3):
                time.pass_(1)
                recording.write(time.clock())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [(line["event"], line["error"]) for line in lines] == [("recording_stopped", "EFBIG")]
    recording.close()
    recording.write(time.clock())
    assert recording.finish() == ("failed", 0.0)
    assert recording.error == "EFBIG"
    assert not path.exists()


def test_a_folder_that_cannot_be_written_ends_the_recording(tmp_path, time):
    (tmp_path / "file").write_text("in the way")
    recording = recording_at(tmp_path / "file" / "call.wav", time)
    recording.caller(tone(160), 0)
    recording.write(time.clock())
    assert recording.error in ("ENOTDIR", "EEXIST")
    assert recording.finish() == ("failed", 0.0)


def test_a_fault_in_one_recording_is_its_own(tmp_path, time):
    recording = recording_at(tmp_path / "call.wav", time)
    recording.caller("no audio", 0)
    recording.write(time.clock())
    assert recording.error == "fault"
    assert recording.finish() == ("failed", 0.0)


def test_memory_is_bounded_where_the_disk_hangs(tmp_path, time):
    recording = recording_at(tmp_path / "call.wav", time)
    for n in range(2 * MAX_WAITING_TICKS // 800):
        recording.caller(tone(800), n * 800)
    assert recording.error == "too_slow"
    assert sum(len(ulaw) for queue in recording._pieces for _, ulaw in queue) <= MAX_WAITING_TICKS


def test_a_torn_file_is_mended(tmp_path):
    path = tmp_path / "call.wav"
    descriptor = wav.create(path)
    wav.write_at(descriptor, bytes(4 * 1000 + 3), wav.HEADER_BYTES)  # header says 0, a torn frame
    os.close(descriptor)
    assert wav.repair(path) == 1000 / 8000
    assert len(read(path)) == 1000
    path.write_bytes(b"RIFFhello")
    assert wav.repair(path) is None


def test_decoding_is_what_the_codec_says():
    assert audioop.ulaw2lin(b"\xff", 2) == b"\0\0"  # the silence that fills gaps


async def test_the_event_loop_is_told_from_its_own_thread(scene, tmp_path, time):
    loops = []

    def finished(*_said) -> None:
        loops.append(asyncio.get_running_loop())

    recorder = FileRecorder(tmp_path, lambda _: True, finished, time.clock)
    recorder.start(scene.call()).close()
    await recorder.close()
    assert loops == [asyncio.get_running_loop()] * 2
