"""Sample rates: speech models want 16 or 24 kHz, the telephone has 8."""

from __future__ import annotations

import numpy as np
import soxr

from telebot.audio.g711 import RATE_HZ


class ToPhone:
    """A stream of 16-bit mono PCM of one rate down to 8 kHz, in chunks (soxr, 3 us / 20 ms)."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream = (
            None if rate_hz == RATE_HZ else soxr.ResampleStream(rate_hz, RATE_HZ, 1, "int16", "HQ")
        )

    def feed(self, pcm16: bytes, *, last: bool = False) -> bytes:
        """PCM at `rate_hz` in, PCM at 8 kHz out (delayed by the filter until `last`)."""
        if self._stream is None:
            return pcm16
        samples = np.frombuffer(pcm16, np.int16)
        return bytes(self._stream.resample_chunk(samples, last=last).tobytes())


def resample(pcm16: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole piece of 16-bit mono PCM at another rate."""
    if from_hz == to_hz:
        return pcm16
    out = soxr.resample(np.frombuffer(pcm16, np.int16), from_hz, to_hz, "HQ")
    return bytes(out.astype(np.int16).tobytes())
