"""Three seconds of speech for the scripted voice in `scripted.py`, as pure functions over PCM."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8000
PIECE_S = 0.02
SPEECH_S = 3.0


def speech_like(seconds: float = SPEECH_S, rate_hz: int = RATE_HZ) -> bytes:
    """A voiced signal with four syllables a second, int16 mono: stands in for a missing voice."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    pitch_hz = 120 + 20 * np.sin(2 * np.pi * 0.7 * t)
    phase = 2 * np.pi * np.cumsum(pitch_hz) / rate_hz
    voice: NDArray[np.float64] = sum(
        (np.sin(h * phase) / h for h in range(1, 20)), start=np.zeros_like(t)
    )
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * t - np.pi / 2)
    return (voice * envelope * 5000).clip(-32768, 32767).astype("<i2").tobytes()


def exactly(pcm16: bytes, seconds: float = SPEECH_S, rate_hz: int = RATE_HZ) -> bytes:
    """`pcm16` (int16 mono) repeated or cut to exactly `seconds`; empty audio becomes `speech_like`.

    An odd last byte is dropped.
    """
    size = round(seconds * rate_hz) * 2
    whole = pcm16[: len(pcm16) // 2 * 2] or speech_like(seconds, rate_hz)
    return (whole * (size // len(whole) + 1))[:size]


def pieces(pcm16: bytes, rate_hz: int = RATE_HZ, piece_s: float = PIECE_S) -> tuple[bytes, ...]:
    """`pcm16` cut into pieces of `piece_s`; the last one may be shorter."""
    step = round(rate_hz * piece_s) * 2
    return tuple(pcm16[i : i + step] for i in range(0, len(pcm16), step))
