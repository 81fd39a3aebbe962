"""Loudness of short pieces of audio."""

from __future__ import annotations

import audioop
import math


def rms(pcm16: bytes) -> int:
    """Root mean square of 16-bit PCM, 0..32767."""
    return audioop.rms(pcm16, 2)


def ulaw_rms(ulaw: bytes) -> int:
    """Root mean square of mu-law audio on the 16-bit scale."""
    return audioop.rms(audioop.ulaw2lin(ulaw, 2), 2)


def level_dbfs(pcm16: bytes) -> float:
    """RMS level against full scale; -96.0 for digital silence."""
    value = rms(pcm16)
    return 20 * math.log10(value / 32768) if value else -96.0
