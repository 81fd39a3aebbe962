"""Is there speech in a piece of telephone audio, and where does it begin and end?

Pure functions over PCM. The recogniser invents words for silence and noise ("You", "Thank you."),
so `recogniser.py` asks here first. Everything is conservative: what may be speech passes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

FRAME_S = 0.032
HOP_S = 0.016
QUIET_DBFS = -55.0  # a telephone line's idle noise lies below this
BELOW_LOUDEST_DB = 35.0
KEEP_S = 0.12  # around the loud part: soft onsets and endings are quieter than the threshold
PITCH_HZ = (70.0, 400.0)
PERIODIC = 0.55  # normalised autocorrelation of a voiced frame; white noise stays under 0.4
TONE_SHARE = 0.93  # of the energy in the strongest bins: a dial tone or a key press, not a voice


@dataclass(frozen=True, slots=True)
class Speech:
    """The part of a piece worth recognising: float samples, and seconds of voiced sound in it."""

    samples: Floats
    voiced_s: float


def to_float(pcm16: bytes) -> Floats:
    """int16 little-endian mono to float32 in [-1, 1); an odd last byte is dropped."""
    whole = np.frombuffer(pcm16, "<i2", count=len(pcm16) // 2)
    return whole.astype(np.float32) / np.float32(32768)


def find_speech(samples: Floats, rate_hz: int) -> Speech | None:
    """The loud part of `samples` with a margin, or None where nothing in it can be speech."""
    frame, hop = round(FRAME_S * rate_hz), round(HOP_S * rate_hz)
    if len(samples) < 2 * frame:
        return None
    frames = np.lib.stride_tricks.sliding_window_view(samples, frame)[::hop]
    frames = frames - frames.mean(axis=1, keepdims=True)
    level = 10 * np.log10((frames**2).mean(axis=1) + 1e-12)
    loudest = float(level.max())
    if loudest < QUIET_DBFS + 6:
        return None
    loud = np.flatnonzero(level > max(QUIET_DBFS, loudest - BELOW_LOUDEST_DB))
    voiced_s = _voiced_frames(frames[loud], rate_hz) * HOP_S
    if voiced_s == 0.0:
        return None
    keep = round(KEEP_S * rate_hz)
    first, last = int(loud[0]) * hop - keep, int(loud[-1]) * hop + frame + keep
    return Speech(samples[max(0, first) : last], voiced_s)


def _voiced_frames(frames: Floats, rate_hz: int) -> int:
    """How many frames have a pitch, once the ones of a steady tone are left out."""
    size = frames.shape[1]
    window = np.hanning(size).astype(np.float32)
    points = 1 << (2 * size - 1).bit_length()
    power = np.abs(np.fft.rfft(frames * window, points)) ** 2
    if _is_tone(power):
        return 0
    shape = np.fft.irfft(np.abs(np.fft.rfft(window, points)) ** 2)
    correlation = np.fft.irfft(power, axis=1)
    low, high = int(rate_hz / PITCH_HZ[1]), int(rate_hz / PITCH_HZ[0])
    lags = correlation[:, low:high] / np.maximum(shape[low:high], shape[0] * 0.1)
    peak = lags.max(axis=1) / np.maximum(correlation[:, 0] / shape[0], 1e-9)
    return int((peak > PERIODIC).sum())


def _is_tone(power: NDArray[np.floating]) -> bool:
    """Nearly all energy of the whole piece in a few spectral lines that do not move."""
    mean = power.mean(axis=0)
    lines = max(12, len(mean) // 24)
    return bool(np.sort(mean)[-lines:].sum() > TONE_SHARE * mean.sum())
