"""Is there speech in a piece of telephone audio, and where does it begin and end?

Pure functions over PCM. The recogniser invents words for silence and noise ("You", "Thank you."),
so `recogniser.py` asks here first. What may be speech passes. Thresholds were set on words of seven
synthetic and two human voices, clean and with noise, against noise, coughs, wind and tones.
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
LEAST_VOICED_S = 0.03  # coughs, breath and wind have at most 0.016, a short word 0.05 or more
LONG_S = 0.8  # longer than a cough
LONG_SHARE = 0.2  # of the frames; rumbling noise reaches 0.16
EMPHASIS = 0.9  # takes the low rumble away, which looks periodic in a short frame
STEADY = 0.1  # median change of the spectrum between frames: tones 0.01, words from 0.23


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
    voiced_s = _voiced_s(frames[loud], rate_hz)
    if voiced_s == 0.0:
        return None
    keep = round(KEEP_S * rate_hz)
    first, last = int(loud[0]) * hop - keep, int(loud[-1]) * hop + frame + keep
    return Speech(samples[max(0, first) : last], voiced_s)


def quiet_point(samples: Floats, rate_hz: int, back_s: float) -> int:
    """The middle of the quietest 0.1 s among the last `back_s` seconds: where to cut a long piece.

    An index into `samples`; their end where they are too short to choose.
    """
    step = round(0.1 * rate_hz)
    tail = samples[-round(back_s * rate_hz) :]
    count = len(tail) // step
    if not count:
        return len(samples)
    blocks = tail[len(tail) - count * step :].reshape(count, step)
    quietest = int((blocks**2).mean(axis=1).argmin())
    return len(samples) - (count - quietest) * step + step // 2


def _voiced_s(frames: Floats, rate_hz: int) -> float:
    """Seconds of `frames` that have a pitch; 0 where it cannot be a voice.

    Judged with the low end taken away first, which noise does not pass; a longer piece whose upper
    half is drowned in noise is judged by all of its spectrum.
    """
    bright = frames[:, 1:] - EMPHASIS * frames[:, :-1]
    power = _power(bright)
    share = power / power.sum(axis=1, keepdims=True)
    if len(share) > 1 and np.median(np.abs(np.diff(share, axis=0)).sum(axis=1)) < STEADY:
        return 0.0  # a key, a dial tone
    voiced_s = _periodic_frames(power, bright.shape[1], rate_hz) * HOP_S
    if voiced_s >= LEAST_VOICED_S:
        return voiced_s
    if len(frames) * HOP_S < LONG_S:
        return 0.0
    periodic = _periodic_frames(_power(frames), frames.shape[1], rate_hz)
    return periodic * HOP_S if periodic >= LONG_SHARE * len(frames) else 0.0


def _power(frames: Floats) -> NDArray[np.floating]:
    """Power spectra of windowed frames, padded so that autocorrelation does not wrap."""
    size = frames.shape[1]
    points = 1 << (2 * size - 1).bit_length()
    return np.abs(np.fft.rfft(frames * np.hanning(size), points)) ** 2 + 1e-12


def _periodic_frames(power: NDArray[np.floating], size: int, rate_hz: int) -> int:
    """In how many frames a shift by one pitch period gives nearly the same again."""
    points = 2 * (power.shape[1] - 1)
    shape = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(size), points)) ** 2)
    correlation = np.fft.irfft(power, axis=1)
    low, high = int(rate_hz / PITCH_HZ[1]), int(rate_hz / PITCH_HZ[0])
    lags = correlation[:, low:high] / np.maximum(shape[low:high], shape[0] * 0.1)
    peak = lags.max(axis=1) / (correlation[:, 0] / shape[0])
    return int((peak > PERIODIC).sum())
