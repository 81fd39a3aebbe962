"""The carrier's stream clock seen from ours, and where in the stream things lie."""

from __future__ import annotations

import random

import pytest
from fake_carrier import Tape
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run

from telebot.audio.g711 import RATE_HZ
from telebot.speech.ear import TURN_AUDIO, TURN_PREROLL, Ear, StreamClock
from telebot.speech.vad import CallVad, SharedVad

pytestmark = pytest.mark.unit

FRAME = 160
ORIGIN_S = 5000.0


def arrive(
    clock: StreamClock, number: int, delay_s: float, *, offset_ms: int = 0, drift: float = 0.0
) -> tuple[float, int]:
    """Frame `number` comes `delay_s` after its last sample. Returns now and where it begins."""
    spoken_s = (number + 1) * FRAME / RATE_HZ * (1 + drift)
    now = ORIGIN_S + spoken_s + delay_s
    return now, clock.observe(now, number * 20 + offset_ms, FRAME)


def test_before_the_first_frame_it_is_the_beginning():
    assert StreamClock().sample_at(123.4) == 0
    assert StreamClock().ms_at(123.4) == 0


def test_a_punctual_stream():
    clock = StreamClock()
    for number in range(100):
        now, begins = arrive(clock, number, 0.01)
        assert begins == number * FRAME
    assert abs(clock.sample_at(now) - 100 * FRAME) <= 1
    assert abs(clock.sample_at(now + 0.5) - 100 * FRAME - 4000) <= 1


@given(st.lists(st.floats(0, 0.4), min_size=50, max_size=300))
@settings(max_examples=60, deadline=None)
def test_jitter_is_seen_through(delays):
    """The least delayed frame tells where the stream is; it is forgotten slowly."""
    clock = StreamClock()
    for number, delay_s in enumerate(delays):
        now, begins = arrive(clock, number, delay_s)
        assert begins == number * FRAME, "a frame lies where its timestamp says"
    true = (now - ORIGIN_S) * RATE_HZ
    best = min(delays)
    forgotten = len(delays) * 1e-4 * (max(delays) - best)
    assert true - (best + forgotten) * RATE_HZ - 2 <= clock.sample_at(now)
    assert clock.sample_at(now) <= true - best * RATE_HZ + 2


@pytest.mark.parametrize("drift", [1e-4, -1e-4, 3e-5])
def test_drift_of_an_hour_is_followed(drift):
    clock = StreamClock()
    rng = random.Random(1)
    for number in range(180_000):
        now, _ = arrive(clock, number, rng.expovariate(1 / 0.01), drift=drift)
    assert abs(clock.sample_at(now) - 180_000 * FRAME) <= 0.06 * RATE_HZ


@pytest.mark.parametrize("jump_ms", [-1_000_000, -6_000, 6_000, 4_000_000, 1 << 40])
def test_a_jump_of_the_timestamps_is_not_believed(jump_ms):
    clock = StreamClock()
    for number in range(600):
        arrive(clock, number, 0.0)
    for number in range(600, 1200):
        _, begins = arrive(clock, number, 0.0, offset_ms=jump_ms)
        assert abs(begins - number * FRAME) <= 2
    now, begins = arrive(clock, 1200, 0.0)
    assert begins == 1200 * FRAME
    assert abs(clock.sample_at(now) - 1201 * FRAME) <= 2


def test_lost_frames_leave_a_hole_where_they_were():
    clock = StreamClock()
    for number in [*range(50), *range(80, 120)]:
        _, begins = arrive(clock, number, 0.005)
        assert begins == number * FRAME


def test_a_wrong_first_timestamp_does_not_decide_the_whole_call():
    clock = StreamClock()
    arrive(clock, 0, 0.0, offset_ms=10_000_000)
    for number in range(1, 500):
        now, begins = arrive(clock, number, 0.0)
    assert begins <= 1000 * RATE_HZ
    assert abs(clock.sample_at(now) - 500 * FRAME) <= 2


@given(
    st.lists(
        st.tuples(st.floats(-1, 1e4), st.integers(-(1 << 62), 1 << 62), st.integers(0, 100_000)),
        max_size=30,
    )
)
@settings(deadline=None)
def test_any_timestamps_give_positions_in_the_stream(frames):
    clock, now = StreamClock(), ORIGIN_S
    for later_s, timestamp_ms, samples in frames:
        now += max(0.0, later_s)
        clock.observe(now, max(0, timestamp_ms), samples)
        assert clock.sample_at(now) >= 0
        assert clock.ms_at(now) >= 0


class Spans:
    """A listener that keeps positions."""

    def __init__(self) -> None:
        self.started: list[int] = []

    def speech_started(self, at_sample: int) -> None:
        self.started.append(at_sample)

    def speech_stopped(self, at_sample: int) -> None: ...
    def speech_suspected(self) -> None: ...
    def suspicion_cleared(self) -> None: ...
    def speech_paused(self) -> None: ...
    def speech_resumed(self) -> None: ...


def ear_with_detector(tape: Tape | None = None) -> tuple[Ear, list[float]]:
    now = [ORIGIN_S]
    ear = Ear(lambda: now[0], tape, True)
    ear.vad = CallVad(
        SharedVad(slots=1), Spans(), confidence=0.7, start_s=0.128, stop_s=0.2, gate=True
    )
    return ear, now


def hear(ear: Ear, now: list[float], numbers: range, ulaw: bytes = b"\xff" * FRAME) -> None:
    async def listen() -> None:
        for number in numbers:
            now[0] = ORIGIN_S + (number + 1) * 0.02
            await ear.audio(ulaw, number * 20)

    run(listen())


def test_caller_audio_is_recorded_where_its_timestamps_say():
    tape = Tape()
    ear, now = ear_with_detector(tape)
    hear(ear, now, range(10), b"\x01" * FRAME)
    hear(ear, now, range(15, 20), b"\x02" * FRAME)
    track = tape.caller_timeline(20 * FRAME)
    assert track == b"\x01" * 1600 + b"\xff" * 800 + b"\x02" * 800
    assert ear.last_frame_end_ms == 400.0
    ear.close()
    ear.close()
    assert tape.closed


@pytest.mark.parametrize("lost", [0, 7])
def test_where_in_the_stream_a_sample_of_the_detector_lies(lost):
    worst = 0.0
    for count in range(40, 60):
        ear, now = ear_with_detector()
        hear(ear, now, range(20))
        hear(ear, now, range(20 + lost, count + lost))
        sample = (count - 1) * FRAME  # the begin of the last frame, of all that was fed
        worst = max(worst, abs(ear.stream_ms(sample) - (count + lost - 1) * 20))
        ear.close()
    assert worst <= 1


def test_the_turn_model_hears_this_turn_and_a_little_before():
    ear, now = ear_with_detector()
    hear(ear, now, range(100), b"\x01" * FRAME)
    ear.turn_over()
    hear(ear, now, range(100, 150), b"\x02" * FRAME)
    assert ear.turn_audio() == b"\x01" * TURN_PREROLL + b"\x02" * 50 * FRAME
    hear(ear, now, range(150, 3000), b"\x03" * FRAME)
    assert ear.turn_audio() == b"\x03" * TURN_AUDIO
    assert len(ear._turn_audio) <= 2 * TURN_AUDIO
    ear.close()


def test_without_a_turn_model_no_audio_is_kept():
    ear = Ear(lambda: ORIGIN_S, None, False)
    hear(ear, [ORIGIN_S], range(100))
    assert ear.turn_audio() == b""
    ear.close()


def test_a_stream_that_has_begun_needs_no_frame():
    clock = StreamClock()
    clock.begin(ORIGIN_S)
    assert clock.ms_at(ORIGIN_S + 12.5) == pytest.approx(12_500, abs=1)
    clock.observe(ORIGIN_S + 20.0, 19_980, FRAME)
    assert clock.ms_at(ORIGIN_S + 20.0) == pytest.approx(20_000, abs=1)
