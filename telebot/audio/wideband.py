"""Linear PCM of a wire's own rate against the rate of the line (`line.py`), frame by frame.

A recogniser's resampler (`resample.py`) may hold audio back for a tenth of a second; a call cannot
wait. Here each frame comes out as it went in, behind a short filter (half a millisecond to two).
Used by the codecs whose wires are linear.
"""

from __future__ import annotations

from functools import cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

from telebot.audio import g711
from telebot.audio.g711 import RATE_HZ

TAPS_PER_FACTOR = 16
WIDE_TAPS = 32  # a band that is kept for its upper end wants a steeper one
CUTOFF = 3700 / 8000  # of the lower rate: a telephone's 4 kHz begin to fall at 3.7
MAX_FACTOR = 6  # 48 kHz

Samples = NDArray[np.float32]


class Narrow:
    """16-bit mono PCM of `rate_hz` to 8 kHz mu-law. Whole samples in, any number of them; an odd
    byte at the end is dropped."""

    def __init__(self, rate_hz: int) -> None:
        self._steps = _steps(rate_hz, RATE_HZ)

    def feed(self, pcm16: bytes) -> bytes:
        """mu-law of the same stretch of time, as far as whole samples of it are there."""
        if len(pcm16) % 2:
            pcm16 = pcm16[:-1]
        return g711.encode(_through(self._steps, pcm16))


class Widen:
    """8 kHz mu-law to 16-bit mono PCM of `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self._steps = _steps(RATE_HZ, rate_hz)

    def feed(self, ulaw: bytes) -> bytes:
        """PCM of the same stretch of time."""
        return _through(self._steps, g711.decode(ulaw))


class Converted:
    """16-bit mono PCM of one rate to another, of which one is wide; `whole`: out come so many
    bytes, or a multiple, and what is less waits."""

    def __init__(self, from_hz: int, to_hz: int, whole: int = 2) -> None:
        self._steps = _steps(from_hz, to_hz, WIDE_TAPS)
        self._whole = whole
        self._rest = b""

    def feed(self, pcm16: bytes) -> bytes:
        """Whole samples in, the same stretch of time out."""
        out = _through(self._steps, pcm16)
        if self._rest:
            out = self._rest + out
        odd = len(out) % self._whole
        self._rest = out[len(out) - odd :] if odd else b""
        return out[: len(out) - odd] if odd else out


class _Up:
    """By a whole factor: each sample becomes `factor`, through a polyphase filter."""

    def __init__(self, factor: int, taps: int = TAPS_PER_FACTOR) -> None:
        self._phases = _phases(factor, taps)
        self._before = np.zeros(self._phases.shape[0] - 1, np.float32)

    def feed(self, samples: Samples) -> Samples:
        if not len(samples):
            return samples
        whole = np.concatenate((self._before, samples))
        self._before = whole[len(whole) - len(self._before) :]
        windows = np.lib.stride_tricks.sliding_window_view(whole, self._phases.shape[0])
        return np.asarray((windows @ self._phases).ravel(), np.float32)


class _Down:
    """By a whole factor: of each `factor` filtered samples one is kept."""

    def __init__(self, factor: int, taps: int = TAPS_PER_FACTOR) -> None:
        self._factor = factor
        self._filter = _low_pass(factor, taps)
        self._left = np.zeros(len(self._filter) - 1, np.float32)

    def feed(self, samples: Samples) -> Samples:
        whole = np.concatenate((self._left, samples))
        fits = len(whole) - len(self._filter) + 1
        count = max(0, -(-fits // self._factor))  # a window begins at every factor-th sample
        if not count:
            self._left = whole
            return np.zeros(0, np.float32)
        windows = np.lib.stride_tricks.sliding_window_view(whole, len(self._filter))
        self._left = whole[count * self._factor :]
        return np.asarray(windows[:: self._factor][:count] @ self._filter, np.float32)


class _Between:
    """Any other ratio, between the two nearest samples; far above a telephone's bandwidth."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._step = from_hz / to_hz
        self._last = np.zeros(1, np.float32)
        self._at = 0.0  # of the next sample out, counted from `_last`

    def feed(self, samples: Samples) -> Samples:
        whole = np.concatenate((self._last, samples))
        at = np.arange(self._at, len(whole) - 1, self._step)
        self._at += len(at) * self._step - len(samples)
        self._last = whole[-1:]
        return np.asarray(np.interp(at, np.arange(len(whole)), whole), np.float32)


_Step = _Up | _Down | _Between


def _steps(from_hz: int, to_hz: int, taps: int = TAPS_PER_FACTOR) -> tuple[_Step, ...]:
    common = gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    if max(up, down) > MAX_FACTOR:
        high = MAX_FACTOR * RATE_HZ
        if from_hz == RATE_HZ:
            return _Up(MAX_FACTOR), _Between(high, to_hz)
        return _Between(from_hz, high), _Down(MAX_FACTOR)
    steps: list[_Step] = [_Up(up, taps)] if up > 1 else []
    return (*steps, _Down(down, taps)) if down > 1 else tuple(steps)


def _through(steps: tuple[_Step, ...], pcm16: bytes) -> bytes:
    if not steps:
        return pcm16
    samples = np.frombuffer(pcm16, np.int16).astype(np.float32)
    for step in steps:
        samples = step.feed(samples)
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16).tobytes()


@cache
def _low_pass(factor: int, taps: int) -> Samples:
    """A windowed sinc of the lower rate's bandwidth, at `factor` times that; it sums up to one."""
    length = taps * factor + 1
    at = np.arange(length) - (length - 1) / 2
    sinc = np.sinc(2 * CUTOFF / factor * at)
    shape = sinc * np.hamming(length)
    return np.asarray(shape / shape.sum(), np.float32)


@cache
def _phases(factor: int, taps: int) -> Samples:
    """The same filter in `factor` columns, oldest sample first."""
    low_pass = _low_pass(factor, taps) * factor
    rows = -(-len(low_pass) // factor)
    padded = np.zeros(rows * factor, np.float32)
    padded[: len(low_pass)] = low_pass
    return np.ascontiguousarray(padded.reshape(rows, factor)[::-1])
