"""How a call's audio travels between its wire and its models: a telephone's band, or a wide one.

A tick is an eighth of a millisecond: one sample of a telephone's. Positions and lengths of a call's
audio count ticks whatever its line is, so only who touches samples has to know the `Form`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from telebot.audio import g711, levels

TICKS_PER_S = g711.RATE_HZ
TICKS_PER_MS = g711.BYTES_PER_MS


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """Audio of one direction: `bytes_a_tick` bytes for each tick. The functions take it to and from
    16-bit mono PCM at `rate_hz`, to float samples in [-1, 1), and to its RMS on the 16-bit
    scale."""

    rate_hz: int
    bytes_a_tick: int
    silent: bytes  # one byte of silence
    to_pcm: Callable[[bytes], bytes]
    from_pcm: Callable[[bytes], bytes]
    to_float: Callable[[bytes], NDArray[np.float32]]
    rms: Callable[[bytes], int]

    def ticks(self, audio: bytes | bytearray) -> int:
        """How long it is, in whole ticks."""
        return len(audio) // self.bytes_a_tick

    def silence(self, ticks: int) -> bytes:
        """So much of it."""
        return self.silent * (ticks * self.bytes_a_tick)


def _same(pcm16: bytes) -> bytes:
    return pcm16


def _to_float(pcm16: bytes) -> NDArray[np.float32]:
    return np.frombuffer(pcm16, np.int16).astype(np.float32) / np.float32(32768)


def _pcm(rate_hz: int) -> Form:
    return Form(rate_hz, 2 * rate_hz // TICKS_PER_S, b"\0", _same, _same, _to_float, levels.rms)


ULAW = Form(g711.RATE_HZ, 1, g711.SILENCE, g711.decode, g711.encode, g711.to_float, levels.ulaw_rms)
PCM_16K = _pcm(16_000)  # what recognisers and the models of turns are trained on
PCM_24K = _pcm(24_000)  # what most voices make


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """What the other side is heard by, and spoken to."""

    hears: Form
    says: Form


PHONE = Line(ULAW, ULAW)
WIDE = Line(PCM_16K, PCM_24K)
