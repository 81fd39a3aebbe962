"""What a phone hears that is not its caller's turn: sounds, crowds, and "mm-hmm".

Generated, so that it can be made anywhere: keyboards, coughs, breaths, knocks and traffic from
shaped noise, a crowd and backchannels from the local synthesiser. `EVENTS` are short sounds that
fall into the bot's speech, `GROUNDS` go on through the whole call. Played by `noise_load.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench import voices
from bench.voices import RATE_HZ, Line, Sound, at_level, band, coloured_noise

Random = np.random.Generator
BACKCHANNELS = ("Mm-hmm.", "Uh-huh.", "Yeah.", "Okay.", "Right.", "Hmm.", "I see.", "Oh.")
PITCHES = (0.9, 1.0, 1.1)
GROUND_S = 20.0


def _decay(seconds: float, half_s: float) -> Sound:
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(0.5 ** (t / half_s), np.float32)


def _place(into: Sound, sound: Sound, at_s: float) -> None:
    at = round(at_s * RATE_HZ)
    piece = sound[: max(0, len(into) - at)]
    into[at : at + len(piece)] += piece


def _click(rng: Random) -> Sound:
    """One key: a snap of 2-4 kHz and the thud of the board under it."""
    snap = coloured_noise(0.06, rng, 2.0) * _decay(0.06, rng.uniform(0.002, 0.005))
    t = np.arange(len(snap)) / RATE_HZ
    thud = np.sin(2 * np.pi * rng.uniform(180, 320) * t) * _decay(0.06, 0.008)
    return np.asarray(snap + 0.6 * thud, np.float32) * np.float32(rng.uniform(0.5, 1.0))


def keyboard(rng: Random, seconds: float = 1.5) -> Sound:
    """Typing, about seven keys a second."""
    out = np.zeros(round(seconds * RATE_HZ), np.float32)
    at_s = 0.0
    while at_s < seconds - 0.1:
        _place(out, _click(rng), at_s)
        at_s += float(rng.uniform(0.07, 0.25))
    return out


def cough(rng: Random) -> Sound:
    """Two coughs: a burst, then 200 ms of rough breath through a throat's resonances."""
    out = np.zeros(round(0.95 * RATE_HZ), np.float32)
    for at_s in (0.0, 0.42 + float(rng.uniform(0, 0.08))):
        breath = coloured_noise(0.35, rng, -3.0) * _decay(0.35, rng.uniform(0.05, 0.09))
        voiced = band(breath, RATE_HZ, 400, 1800) + 0.4 * band(breath, RATE_HZ, 2000, 3300)
        _place(out, voiced, at_s)
    return out


def breath(rng: Random) -> Sound:
    """A heavy breath into the mouthpiece."""
    noise = band(coloured_noise(0.8, rng, -2.0), RATE_HZ, 500, 3000)
    return np.asarray(noise * np.hanning(len(noise)), np.float32)


def knock(rng: Random) -> Sound:
    """A cup put down, a door: three low thumps."""
    out = np.zeros(round(1.0 * RATE_HZ), np.float32)
    for n in range(3):
        t = np.arange(round(0.15 * RATE_HZ)) / RATE_HZ
        tone = np.sin(2 * np.pi * rng.uniform(160, 420) * t) * _decay(0.15, 0.02)
        snap = 0.3 * coloured_noise(0.15, rng, -3.0) * _decay(0.15, 0.004)
        _place(out, np.asarray(tone + snap, np.float32), 0.28 * n + float(rng.uniform(0, 0.05)))
    return out


def hiss(rng: Random) -> Sound:
    return coloured_noise(GROUND_S, rng, 0.0)


def hum(rng: Random) -> Sound:
    """Mains and a fan: 50 Hz with its harmonics and a little air."""
    t = np.arange(round(GROUND_S * RATE_HZ)) / RATE_HZ
    tones = sum(np.sin(2 * np.pi * 50 * n * t + n) / n**0.7 for n in range(2, 14))
    return np.asarray(np.asarray(tones) + 0.3 * coloured_noise(GROUND_S, rng, -3.0), np.float32)


def street(rng: Random) -> Sound:
    """Traffic: low noise in which cars pass by."""
    noise = coloured_noise(GROUND_S, rng, -5.0) + 0.25 * coloured_noise(GROUND_S, rng, -1.0)
    t = np.arange(len(noise)) / RATE_HZ
    passing = np.full(len(noise), 0.35)
    for at_s in np.cumsum(rng.uniform(2.0, 5.0, 8)):
        passing += np.exp(-(((t - at_s) / rng.uniform(0.5, 1.2)) ** 2))
    return np.asarray(noise * passing, np.float32)


def crowd(rng: Random) -> Sound:
    """Eight voices talking at once, none of them near."""
    spoken = [sound for _, sound in voices.in_pitches(voices.SENTENCES, (0.86, 1.0, 1.17))]
    out = np.zeros(round(GROUND_S * RATE_HZ), np.float32)
    for _ in range(8):
        at_s = float(rng.uniform(-1.5, 0))
        while at_s < GROUND_S:
            sound = spoken[int(rng.integers(len(spoken)))] * np.float32(rng.uniform(0.5, 1.0))
            _place(out, sound[round(max(0.0, -at_s) * RATE_HZ) :], max(0.0, at_s))
            at_s += len(sound) / RATE_HZ + float(rng.uniform(0.0, 0.4))
    return out


def typing(rng: Random) -> Sound:
    return keyboard(rng, GROUND_S)


EVENTS: dict[str, tuple[Callable[[Random], Sound], float]] = {
    "keyboard": (keyboard, -30.0),
    "cough": (cough, -20.0),
    "breath": (breath, -30.0),
    "knock": (knock, -24.0),
}
"""Short sounds and the level of their loud frames (speech is at -22 dBFS)."""

GROUNDS: dict[str, tuple[Callable[[Random], Sound], float]] = {
    "hiss": (hiss, -42.0),
    "hum": (hum, -38.0),
    "street": (street, -36.0),
    "crowd, far": (crowd, -44.0),
    "crowd, near": (crowd, -34.0),
    "typing": (typing, -36.0),
}
"""Sounds that never stop, and their level."""

Scene = tuple[Line, list[tuple[bytes, ...]]]
"""The line, and the takes of the short sound (base64 frames); no takes where the ground is it."""


def _make_scenes() -> dict[str, Scene]:
    rng = np.random.default_rng(11)
    spoken = voices.without_pauses(voices.SENTENCES, PITCHES)
    interrupting = voices.without_pauses(voices.INTERRUPTIONS, PITCHES)
    soft = voices.without_pauses(voices.SOFT_STARTS)
    quiet = voices.line_noise(GROUND_S, -60.0, rng)
    line = voices.over(quiet, spoken, interrupting, rng)

    def take(sound: Sound) -> tuple[bytes, ...]:
        padded = np.pad(sound, (0, -len(sound) % voices.FRAME))
        return voices.frames_of(padded + quiet[: len(padded)])

    scenes: dict[str, Scene] = {
        "quiet line": (line, []),
        "soft starts": (voices.over(quiet, spoken, soft, rng), []),
    }
    for name, (make, dbfs) in EVENTS.items():
        takes = [take(at_level(band(make(rng), RATE_HZ), dbfs)) for _ in range(12)]
        scenes[name] = (line, takes)
    for text in BACKCHANNELS:
        takes = [take(sound) for _, sound in voices.in_pitches((text,), PITCHES)]
        scenes[f'"{text.rstrip(".").lower()}"'] = (line, takes)
    for name, (make, dbfs) in GROUNDS.items():
        ground = at_level(band(make(rng), RATE_HZ), dbfs) + quiet
        scenes[name] = (voices.over(ground, spoken, interrupting, rng), [])
    return scenes


def scenes() -> dict[str, Scene]:
    """All scenes by name, made at the first use."""
    made: dict[str, Scene] = voices.cached("scenes", _make_scenes, __file__)  # type: ignore[assignment]
    return made
