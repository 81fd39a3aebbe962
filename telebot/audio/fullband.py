"""Linear PCM of one rate to another over the whole band, as it comes (soxr).

For clients that are no telephone; the telephone's own band has `wideband.py`.
"""

from __future__ import annotations

import numpy as np
import soxr


class Rate:
    """A stream of 16-bit mono PCM from `from_hz` to `to_hz`; the filter holds a few ms back."""

    def __init__(self, from_hz: int, to_hz: int) -> None:
        self._stream = (
            None
            if from_hz == to_hz
            else soxr.ResampleStream(from_hz, to_hz, 1, dtype="int16", quality="MQ")
        )

    def feed(self, pcm16: bytes) -> bytes:
        """Whole samples in, whole samples out."""
        if self._stream is None:
            return pcm16
        samples = np.frombuffer(pcm16, np.int16)
        return bytes(self._stream.resample_chunk(samples).tobytes())
