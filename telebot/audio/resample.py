"""Sample rates: speech models want 16 or 24 kHz, the telephone has 8."""

from __future__ import annotations

import numpy as np
import soxr

from telebot.audio.g711 import RATE_HZ
from telebot.audio.line import TICKS_PER_S, Form


class ToRate:
    """A stream of 16-bit mono PCM of one rate to another, in chunks (soxr, 3 us / 20 ms)."""

    def __init__(self, rate_hz: int, to_hz: int) -> None:
        self.rate_hz = rate_hz
        self._stream = (
            None if rate_hz == to_hz else soxr.ResampleStream(rate_hz, to_hz, 1, "int16", "HQ")
        )

    def feed(self, pcm16: bytes, *, last: bool = False) -> bytes:
        """PCM at `rate_hz` in, at the other rate out (delayed by the filter until `last`)."""
        if self._stream is None:
            return pcm16
        samples = np.frombuffer(pcm16, np.int16)
        return bytes(self._stream.resample_chunk(samples, last=last).tobytes())


class ToPhone(ToRate):
    """The same down to 8 kHz."""

    def __init__(self, rate_hz: int) -> None:
        super().__init__(rate_hz, RATE_HZ)


class ToForm:
    """A stream of 16-bit mono PCM of one rate to audio of a line, in whole ticks."""

    def __init__(self, rate_hz: int, form: Form) -> None:
        self.rate_hz = rate_hz
        self._form = form
        self._to_rate = ToRate(rate_hz, form.rate_hz)
        self._whole = 2 * form.rate_hz // TICKS_PER_S  # bytes of PCM in a tick
        self._rest = b""

    def feed(self, pcm16: bytes, *, last: bool = False) -> bytes:
        """PCM in, audio of the line out; what is less than a tick waits, and is filled up where it
        is the `last`."""
        pcm = self._rest + self._to_rate.feed(pcm16, last=last)
        odd = len(pcm) % self._whole
        if last and odd:
            pcm, odd = pcm + bytes(self._whole - odd), 0
        self._rest = pcm[len(pcm) - odd :] if odd else b""
        return self._form.from_pcm(pcm[: len(pcm) - odd] if odd else pcm)


def resample(pcm16: bytes, from_hz: int, to_hz: int) -> bytes:
    """A whole piece of 16-bit mono PCM at another rate."""
    if from_hz == to_hz:
        return pcm16
    out = soxr.resample(np.frombuffer(pcm16, np.int16), from_hz, to_hz, "HQ")
    return bytes(out.astype(np.int16).tobytes())
