"""How much of a sound lies above a telephone's band."""

from __future__ import annotations

import numpy as np

PHONE_TOP_HZ = 4000
LOUDEST = 0.1  # of the pieces: where an s or a t is, which is what lies so high


def above_db(pcm16: bytes, rate_hz: int, from_hz: int = PHONE_TOP_HZ) -> float:
    """Energy above `from_hz` in the pieces that have most of it, against the energy of all of the
    sound, in dB. A telephone's own lies below -45."""
    samples = np.frombuffer(pcm16, np.int16).astype(np.float64)
    size = rate_hz // 50
    pieces = samples[: len(samples) // size * size].reshape(-1, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    high = power[:, np.fft.rfftfreq(size, 1 / rate_hz) >= from_hz + 200].sum(axis=1)
    most = np.sort(high)[-max(1, round(LOUDEST * len(high))) :].mean()
    return float(10 * np.log10(max(most, 1e-9) / max(power.sum(axis=1).mean(), 1e-9)))
