"""Callers' voices: real speech by the local synthesiser, as it arrives over a telephone line.

24 kHz speech is cut to 300-3400 Hz, brought to 8 kHz, trimmed to where speech begins and ends,
mixed with the noise of the line and coded as mu-law. One voice becomes several by resampling (pitch
and pace together). Utterances with a pause inside that an end-pointer could take for the end are
left out: what is measured is the server, not its judgement of pauses. Made once, kept in the
temporary directory. Goes on to `script.py`.
"""

from __future__ import annotations

import audioop
import base64
import hashlib
import os
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Sound = NDArray[np.float32]
"""Mono audio in -1..1, at 8 kHz unless said otherwise."""

RATE_HZ = 8000
FRAME = 160  # samples in 20 ms
SPEECH_DBFS = -22.0  # RMS of the spoken frames
FLOOR_DB = 35.0  # a frame this far below the loudest one is no speech
MAX_PAUSE_FRAMES = 6  # 120 ms
LINES_DBFS = (-66.0, -60.0, -54.0)  # RMS of the noise on a good, a usual and a poor line
PITCHES = (0.86, 0.94, 1.0, 1.08, 1.17)
SENTENCES = (
    "I would like to book a table for two.",
    "Can you tell me when you open on Sunday?",
    "We will be six people on Friday evening.",
    "Is there somewhere to park near you?",
    "My name is Margaret Johnson.",
    "Could you make it half past seven?",
    "I need to cancel my booking for tonight.",
    "Do you have a table by the window?",
    "Please put me through to the kitchen.",
    "What is the address of the restaurant?",
    "My telephone number ends in forty two.",
    "Yes that sounds very good to me.",
    "Can I bring my dog along with me?",
    "Do you serve lunch on a Monday?",
    "I want to leave a message for the owner.",
    "No I said four people and not five.",
)
INTERRUPTIONS = (
    "No that is the wrong day.",
    "Yes yes that is fine.",
    "Let me change the number.",
    "Make it nine people now.",
    "Maybe we should come earlier.",
    "Double that to twelve people.",
    "But we need it for Sunday.",
    "Stop please I have a question.",
    "One moment I need to check.",
    "Never mind the parking.",
    "No not Friday but Thursday.",
    "Listen we are running late.",
    "Well we would rather come later.",
    "No wait I meant Saturday.",
)
"""Selected: of 30 candidates those that the VAD model alone hears within 300 ms (p95), so that how
soon the bot stops is the server's doing. `SOFT_STARTS` are six of those it hears later, up to 570;
`noise_load.py` plays them as a scene of their own. Figures made with one set do not hold for the
other (README.md)."""
SOFT_STARTS = (
    "Okay but what about the garden?",
    "Only two of us are coming.",
    "Actually make that eight people.",
    "Excuse me what was the time?",
    "Hold on that is not right.",
    "Around eight would be better.",
)
VERSION = "4"


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech on a line: base64 mu-law of each 20 ms frame; the first and last frame are speech."""

    text: str
    frames: tuple[bytes, ...]

    @property
    def seconds(self) -> float:
        return len(self.frames) / 50


@dataclass(frozen=True, slots=True)
class Line:
    """One quality of line: its noise while nobody speaks, and the utterances spoken over it."""

    noise: tuple[bytes, ...]
    utterances: tuple[Utterance, ...]
    interruptions: tuple[Utterance, ...] = ()


def band(sound: Sound, rate_hz: int, low_hz: float = 300, high_hz: float = 3400) -> Sound:
    """The telephone band, by a raised-cosine filter over the whole sound."""
    spectrum = np.fft.rfft(sound)
    freqs = np.fft.rfftfreq(len(sound), 1 / rate_hz)
    gain = np.clip((freqs - low_hz * 0.7) / (low_hz * 0.6), 0, 1) * np.clip(
        (high_hz * 1.1 - freqs) / (high_hz * 0.2), 0, 1
    )
    return np.fft.irfft(spectrum * gain, len(sound)).astype(np.float32)


def to_phone(sound: Sound, rate_hz: int) -> Sound:
    """Any rate to 8 kHz, 300-3400 Hz."""
    import soxr

    resampled: Sound = soxr.resample(sound, rate_hz, RATE_HZ, "HQ")
    return band(resampled, RATE_HZ)


def frame_levels(sound: Sound) -> Sound:
    """RMS of each whole 20 ms frame."""
    whole = sound[: len(sound) // FRAME * FRAME].reshape(-1, FRAME)
    levels: Sound = np.sqrt((whole**2).mean(axis=1))
    return levels


def trim(sound: Sound) -> Sound:
    """From the first to the last 20 ms that holds speech (within `FLOOR_DB` of the loudest)."""
    hop = FRAME // 4  # find the edges to 5 ms
    short = sound[: len(sound) // hop * hop].reshape(-1, hop)
    levels = np.sqrt((short**2).mean(axis=1))
    loud = np.flatnonzero(levels > levels.max() * 10 ** (-FLOOR_DB / 20))
    first, last = int(loud[0]) * hop, (int(loud[-1]) + 1) * hop
    return sound[first : first + -(-(last - first) // FRAME) * FRAME]


def longest_pause(sound: Sound) -> int:
    """The longest run of frames inside that hold no speech."""
    levels = frame_levels(sound)
    longest = run = 0
    for loud in levels > levels.max() * 10 ** (-FLOOR_DB / 20):
        run = 0 if loud else run + 1
        longest = max(longest, run)
    return longest


def at_level(sound: Sound, dbfs: float) -> Sound:
    """Scaled so that its frames within 30 dB of the loudest have this RMS level."""
    levels = frame_levels(sound)
    active = levels[levels > levels.max() * 0.03]
    scaled: Sound = sound * (10 ** (dbfs / 20) / float(np.sqrt((active**2).mean())))
    return scaled.clip(-1, 1)


def coloured_noise(
    seconds: float, rng: np.random.Generator, slope_db: float = -3.0, rate_hz: int = RATE_HZ
) -> Sound:
    """Gaussian noise of RMS 1 falling by `slope_db` an octave (-3 is pink, -6 brown)."""
    size = round(seconds * rate_hz)
    spectrum = np.fft.rfft(rng.standard_normal(size))
    freqs = np.fft.rfftfreq(size, 1 / rate_hz)
    freqs[0] = freqs[1]
    noise = np.fft.irfft(spectrum * (freqs / 1000) ** (slope_db / 6.02), size)
    scaled: Sound = (noise / np.sqrt((noise**2).mean())).astype(np.float32)
    return scaled


def line_noise(seconds: float, dbfs: float, rng: np.random.Generator) -> Sound:
    """Hiss of a line with the hum of the mains and its harmonics 8 dB below."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * f * t + f) / n for n, f in enumerate((150, 250, 350), 1))
    noise = band(coloured_noise(seconds, rng, -2.0), RATE_HZ)
    noise /= np.sqrt((noise**2).mean())
    mixed: Sound = (noise + 0.4 * np.asarray(hum) / np.std(hum)).astype(np.float32)
    return mixed * np.float32(10 ** (dbfs / 20))


def frames_of(sound: Sound) -> tuple[bytes, ...]:
    """Base64 mu-law of each 20 ms; a last part of a frame is dropped."""
    pcm = (sound.clip(-1, 1) * 32767).astype("<i2").tobytes()
    ulaw = audioop.lin2ulaw(pcm, 2)
    return tuple(
        base64.b64encode(ulaw[i : i + FRAME]) for i in range(0, len(ulaw) - FRAME + 1, FRAME)
    )


def speak() -> Callable[[str], Sound]:
    """The local synthesiser: text in, 24 kHz sound out."""
    from hibari import Hibari

    voice = Hibari()
    return lambda text: np.concatenate([np.asarray(c, np.float32) for c in voice.stream(text)])


def in_pitches(texts: Sequence[str], pitches: Sequence[float]) -> list[tuple[str, Sound]]:
    """Each text in each pitch, on the telephone band at speech level, trimmed."""
    voice = speak()
    spoken = [(text, voice(text)) for text in texts]
    return [
        (text, at_level(trim(to_phone(sound, round(24000 * pitch))), SPEECH_DBFS))
        for text, sound in spoken
        for pitch in pitches
    ]


def without_pauses(
    texts: Sequence[str], pitches: Sequence[float] = PITCHES
) -> list[tuple[str, Sound]]:
    """Those that take 1 to 2.3 s and have no pause inside."""
    return [
        (text, sound)
        for text, sound in in_pitches(texts, pitches)
        if longest_pause(sound) <= MAX_PAUSE_FRAMES and 1.0 <= len(sound) / RATE_HZ <= 2.3
    ]


def _make_lines() -> list[Line]:
    rng = np.random.default_rng(7)
    spoken, interrupting = without_pauses(SENTENCES), without_pauses(INTERRUPTIONS)
    return [over(line_noise(10.0, dbfs, rng), spoken, interrupting, rng) for dbfs in LINES_DBFS]


Spoken = Sequence[tuple[str, Sound]]


def over(noise: Sound, spoken: Spoken, interrupting: Spoken, rng: np.random.Generator) -> Line:
    """The line on which this noise is always heard; `noise` is longer than any of the spoken."""

    def mixed(sounds: Spoken) -> tuple[Utterance, ...]:
        starts = [int(rng.integers(0, len(noise) - len(sound))) for _, sound in sounds]
        return tuple(
            Utterance(text, frames_of(sound + noise[at : at + len(sound)]))
            for at, (text, sound) in zip(starts, sounds, strict=True)
        )

    return Line(frames_of(noise), mixed(spoken), mixed(interrupting))


def cached(name: str, make: Callable[[], object], source: str = __file__) -> object:
    """What `make` returns, kept in the temporary directory until the code that made it changes."""
    code = Path(__file__).read_bytes() + Path(source).read_bytes()
    key = hashlib.sha256(VERSION.encode() + code).hexdigest()[:16]
    folder = Path(tempfile.gettempdir()) / "telebot-bench"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to someone else")
    path = folder / f"{name}-{key}.pickle"
    if not path.exists():
        part = path.with_suffix(f".{os.getpid()}")
        part.write_bytes(pickle.dumps(make()))
        part.replace(path)
    return pickle.loads(path.read_bytes())


def lines() -> list[Line]:
    """The lines that callers call over, made at the first use (a few seconds)."""
    made: list[Line] = cached("lines", _make_lines)  # type: ignore[assignment]
    return made
