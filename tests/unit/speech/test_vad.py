"""The real voice detector on real speech, at 8 kHz mu-law: where it begins and ends, in samples."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field

import numpy as np
import pytest
from sounds import sounding
from virtual_time import run

from telebot.audio import g711
from telebot.audio.line import PCM_16K
from telebot.audio.resample import resample
from telebot.speech.vad import WINDOW, CallVad, SharedVad

pytestmark = pytest.mark.unit

FRAME = 160
TEXTS = ("Are you open on Mondays?", "I would like to book a table for four people on Friday.")
ONSET_EARLY, ONSET_LATE = 1200, 1600  # samples a detector may be off at the beginning
END_EARLY, END_LATE = 1600, 1400  # and at the end: words fade


@pytest.fixture(scope="module")
def shared() -> SharedVad:
    return SharedVad()


@dataclass
class Heard:
    """What a detector told, in order."""

    events: list[tuple[str, int]] = field(default_factory=list)
    fault: bool = False

    def speech_suspected(self) -> None:
        self.events.append(("suspected", 0))

    def suspicion_cleared(self) -> None:
        self.events.append(("cleared", 0))

    def speech_started(self, at_sample: int) -> None:
        if self.fault:
            raise RuntimeError("a fault of one call")
        self.events.append(("started", at_sample))

    def speech_paused(self) -> None:
        self.events.append(("paused", 0))

    def speech_resumed(self) -> None:
        self.events.append(("resumed", 0))

    def speech_stopped(self, at_sample: int) -> None:
        self.events.append(("stopped", at_sample))

    @property
    def spans(self) -> list[tuple[int, int]]:
        starts = [at for name, at in self.events if name == "started"]
        stops = [at for name, at in self.events if name == "stopped"]
        return list(zip(starts, stops, strict=True))


def detector(shared: SharedVad, heard: Heard, *, gate: bool = True) -> CallVad:
    return CallVad(shared, heard, confidence=0.7, start_s=0.128, stop_s=0.2, gate=gate)


def line_noise(samples: int, level: float = 12.0, seed: int = 1) -> bytes:
    """A quiet line; `level` is its RMS on the 16-bit scale."""
    noise = np.random.default_rng(seed).normal(0, level, samples)
    return g711.encode(noise.clip(-32768, 32767).astype(np.int16).tobytes())


def mixed(speech: bytes, at: int, samples: int, level: float = 12.0) -> bytes:
    track = np.frombuffer(g711.decode(line_noise(samples, level)), np.int16).astype(np.int32)
    voice = np.frombuffer(g711.decode(speech), np.int16)
    track[at : at + len(voice)] += voice
    return g711.encode(track.clip(-32768, 32767).astype(np.int16).tobytes())


async def feed(vad: CallVad, ulaw: bytes, frame: int = FRAME) -> None:
    for at in range(0, len(ulaw), frame):
        vad.feed(ulaw[at : at + frame])
        await asyncio.sleep(0)


def hear(shared: SharedVad, ulaw: bytes, *, gate: bool = True, frame: int = FRAME) -> Heard:
    heard = Heard()

    async def listen() -> None:
        vad = detector(shared, heard, gate=gate)
        await feed(vad, ulaw, frame)
        await asyncio.sleep(0)
        vad.close()

    run(listen())
    return heard


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("level", [0.0, 12.0, 60.0])
@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("at", [800, 20_011])
def test_where_speech_begins_and_ends(shared, spoken, text, level, gate, at):  # noqa: PLR0917
    clip = spoken(text)
    first, last = sounding(clip)
    heard = hear(shared, mixed(clip, at, at + len(clip) + 8000, level), gate=gate)
    assert heard.spans, "not heard at all"
    begin, end = heard.spans[0][0], heard.spans[-1][1]
    assert at + first - ONSET_EARLY <= begin <= at + first + ONSET_LATE
    assert at + last - END_EARLY <= end <= at + last + END_LATE


@pytest.mark.parametrize("frame", [80, 160, 240, 800, 1])
def test_the_size_of_the_frames_changes_nothing(shared, spoken, frame):
    audio = mixed(spoken(TEXTS[0]), 4000, 24_000)
    assert hear(shared, audio, frame=frame).events == hear(shared, audio).events


def test_a_call_in_a_crowd_hears_as_it_does_alone(shared, spoken):
    """Forty calls, each with its own speech at its own time, in shared batches."""
    clips = [spoken(text) for text in TEXTS]
    tracks = [mixed(clips[n % 2], 2000 + 611 * n, 60_000) for n in range(40)]
    alone = [hear(shared, track).events for track in tracks]
    crowd = [Heard() for _ in tracks]
    before = shared.batches, shared.windows

    async def listen() -> None:
        vads = [detector(shared, heard) for heard in crowd]
        for at in range(0, 60_000, FRAME):
            for vad, track in zip(vads, tracks, strict=True):
                vad.feed(track[at : at + FRAME])
            await asyncio.sleep(0)
        for vad in vads:
            vad.close()

    run(listen())
    assert [heard.events for heard in crowd] == alone
    assert (shared.windows - before[1]) / (shared.batches - before[0]) > 4, "not batched"


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("frame", [4000, 24_000])
def test_audio_that_comes_late_and_all_at_once_is_heard_the_same(shared, spoken, frame, gate):
    worst = 0
    for at in range(4000, 8000, 500):
        audio = mixed(spoken(TEXTS[0]), at, 28_000)
        (burst,), (steady,) = (
            hear(shared, audio, frame=size, gate=gate).spans for size in (frame, FRAME)
        )
        worst = max(worst, abs(burst[1] - steady[1]))
    assert worst <= WINDOW


def test_speech_on_a_wide_line_lies_where_it_lies_on_a_telephones(shared, spoken):
    wide = shared.beside(PCM_16K)
    for text in TEXTS:
        audio = mixed(spoken(text), 9000, 40_000)
        pcm16 = resample(g711.decode(audio), 8000, 16_000)
        heard = Heard()
        vad = detector(wide, heard)

        async def listen(vad=vad, pcm16=pcm16) -> None:
            for at in range(0, len(pcm16), 4 * FRAME):
                vad.feed(pcm16[at : at + 4 * FRAME])
                await asyncio.sleep(0)
            vad.close()

        run(listen())
        [(start, stop)], [(usual_start, usual_stop)] = heard.spans, hear(shared, audio).spans
        assert abs(start - usual_start) <= 2 * WINDOW
        assert abs(stop - usual_stop) <= 2 * WINDOW
        assert vad.fed == len(audio)
    assert wide.in_use == 0
    assert wide.batches > 0


@pytest.mark.parametrize("level", [12.0, 60.0])
def test_the_gate_spares_the_model_and_keeps_the_verdict(shared, spoken, level):
    clip = spoken(TEXTS[1])
    audio = line_noise(40_000, level) + mixed(clip, 0, len(clip) + 40_000, level)
    before = shared.windows
    gated = hear(shared, audio).spans
    spared = shared.windows - before
    before = shared.windows
    free = hear(shared, audio, gate=False).spans
    assert len(gated) == len(free) == 1
    assert abs(gated[0][0] - free[0][0]) <= 4 * WINDOW
    assert abs(gated[0][1] - free[0][1]) <= 4 * WINDOW
    assert spared < 0.75 * (shared.windows - before)


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("level", [0.0, 12.0, 200.0, 1500.0])
def test_noise_is_no_speech(shared, gate, level):
    heard = hear(shared, line_noise(10 * 8000, level), gate=gate)
    assert not [name for name, _ in heard.events if name == "started"]


@pytest.mark.parametrize("gate", [True, False])
@pytest.mark.parametrize("what", ["hum", "click", "tone", "silence"])
def test_sounds_of_the_line_are_no_speech(shared, gate, what):
    t = np.arange(5 * 8000) / 8000
    sounds = {
        "hum": 1500 * np.sin(2 * np.pi * 50 * t),
        "click": np.where(np.arange(len(t)) % 8000 == 4000, 30_000, 0),
        "tone": 6000 * (np.sin(2 * np.pi * 770 * t) + np.sin(2 * np.pi * 1336 * t)) * (t % 1 < 0.1),
        "silence": 0 * t,
    }
    heard = hear(shared, g711.encode(sounds[what].astype(np.int16).tobytes()), gate=gate)
    assert heard.spans == []


def test_a_short_cough_is_suspected_at_most_and_cleared_again(shared, spoken):
    clip = spoken(TEXTS[0])
    burst = clip[3000 : 3000 + 700]  # 90 ms of a vowel
    heard = hear(shared, line_noise(20_000) + mixed(burst, 0, 12_000))
    names = [name for name, _ in heard.events]
    assert "started" not in names
    assert names.count("suspected") == names.count("cleared")


def test_every_suspicion_ends(shared, spoken):
    """Held on suspicion, the voice is always released: by an onset or by an all-clear."""
    clip = spoken(TEXTS[1])
    rng = np.random.default_rng(5)
    for number in range(12):
        audio = bytearray(line_noise(30_000, seed=number))
        for _ in range(6):
            at, size = int(rng.integers(0, 28_000)), int(rng.integers(100, 2000))
            begin = int(rng.integers(0, len(clip) - size))
            audio[at : at + size] = clip[begin : begin + size]
        heard = hear(shared, bytes(audio[:30_000]) + line_noise(8000))
        open_suspicion = speaking = False
        for name, _ in heard.events:
            if name == "suspected":
                assert not open_suspicion
                assert not speaking
                open_suspicion = True
            elif name == "cleared":
                assert open_suspicion
                open_suspicion = False
            elif name == "started":
                assert not speaking
                open_suspicion, speaking = False, True
            elif name == "stopped":
                assert speaking
                speaking = False
        assert not open_suspicion
        assert not speaking


def test_a_pause_is_announced_ahead_of_the_stop_and_taken_back(shared, spoken):
    clip = spoken("Yes.")
    first, last = sounding(clip)
    word = clip[first:last]
    audio = line_noise(4000) + word + line_noise(1400, seed=2) + word + line_noise(8000, seed=3)
    heard = hear(shared, audio)
    names = [name for name, _ in heard.events if name not in ("suspected", "cleared")]
    assert names[0] == "started"
    assert names[-2:] == ["paused", "stopped"]
    for earlier, later in itertools.pairwise(names):
        assert (earlier, later) != ("paused", "paused")
        if later == "stopped":
            assert earlier == "paused"
        if later == "resumed":
            assert earlier == "paused"


def test_ends_never_lie_before_beginnings(shared, spoken):
    for text in ("Yes.", "No.", "Stop.", "Hello?", *TEXTS):
        clip = spoken(text)
        for begin, end in hear(shared, mixed(clip, 9000, len(clip) + 20_000)).spans:
            assert end > begin


# slots


def test_slots_come_back():
    shared = SharedVad(slots=4)
    vads = [detector(shared, Heard()) for _ in range(4)]
    assert shared.in_use == 4
    for vad in vads:
        vad.close()
        vad.close()
    assert shared.in_use == 0
    assert sorted(shared._free) == [0, 1, 2, 3], "each once, however often it is closed"


def test_more_calls_than_slots(spoken):
    shared = SharedVad()
    audio = mixed(spoken(TEXTS[0]), 4000, 24_000)
    alone = hear(shared, audio).events
    heards = [Heard() for _ in range(70)]

    async def listen() -> None:
        vads = [detector(shared, heard) for heard in heards[:64]]
        assert len({vad.slot for vad in vads}) == 64
        half = len(audio) // FRAME // 2 * FRAME
        for at in range(0, half, FRAME):
            for vad in vads:
                vad.feed(audio[at : at + FRAME])
            await asyncio.sleep(0)
        vads += [detector(shared, heard) for heard in heards[64:]]  # grows in mid-speech
        assert len({vad.slot for vad in vads}) == 70
        for at in range(half, len(audio), FRAME):
            for vad in vads[:64]:
                vad.feed(audio[at : at + FRAME])
            await asyncio.sleep(0)
        await feed(vads[66], audio)
        for vad in vads:
            vad.close()

    run(listen())
    assert shared.in_use == 0
    assert all(heard.events == alone for heard in heards[:64])
    assert heards[66].events == alone


def test_a_used_slot_has_no_memory(spoken):
    shared = SharedVad(slots=1)
    audio = mixed(spoken(TEXTS[0]), 4000, 24_000)
    first = hear(shared, audio).events
    loud = spoken(TEXTS[1])
    hear(shared, loud[: len(loud) // 2])  # hangs up in mid-speech
    assert hear(shared, audio).events == first


def test_nothing_is_told_of_a_call_that_is_closed(spoken):
    shared = SharedVad()
    heard = Heard()

    async def listen() -> None:
        vad = detector(shared, heard)
        vad.feed(spoken(TEXTS[0]))
        vad.close()
        other = Heard()
        again = detector(shared, other)  # has the slot while windows of the first are due
        assert again.slot == vad.slot
        await feed(again, line_noise(8000))
        again.close()
        assert other.spans == []

    run(listen())
    assert heard.events == []


def test_one_call_that_fails_does_not_deafen_the_others(spoken):
    shared = SharedVad()
    audio = mixed(spoken(TEXTS[0]), 4000, 24_000)
    alone = hear(shared, audio).events
    heards = [Heard(fault=True), Heard()]

    async def listen() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        vads = [detector(shared, heard) for heard in heards]
        for at in range(0, len(audio), FRAME):
            for vad in vads:
                vad.feed(audio[at : at + FRAME])
            await asyncio.sleep(0)
        for vad in vads:
            vad.close()

    run(listen())
    assert heards[1].events == alone
