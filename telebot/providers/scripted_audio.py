"""Three seconds of speech for the scripted voice in `scripted.py`.

The local voice said them once (`TEXT`, cut at three seconds, 8 kHz mu-law); they stand in a file
because no start needs to say them again, and what is measured with them is always the same.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from telebot.audio import g711

TEXT = "Certainly, a table for two at seven tomorrow evening is yours, and which name shall I note?"
FILE = Path(__file__).with_name("scripted.ulaw")
RATE_HZ = 8000
PIECE_S = 0.02
SPEECH_S = 3.0


@cache
def recorded() -> tuple[bytes, ...]:
    """The speech, int16 mono, in pieces of 20 ms."""
    return pieces(g711.decode(FILE.read_bytes()))


def pieces(pcm16: bytes, rate_hz: int = RATE_HZ, piece_s: float = PIECE_S) -> tuple[bytes, ...]:
    """`pcm16` cut into pieces of `piece_s`; the last one may be shorter."""
    step = round(rate_hz * piece_s) * 2
    return tuple(pcm16[i : i + step] for i in range(0, len(pcm16), step))
