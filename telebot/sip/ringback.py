"""What a caller hears while we ring somebody up: a ringing tone (ITU-T E.180, North America's).

`transfers.py` plays it where no music does.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache

import numpy as np

from telebot.audio.g711 import RATE_HZ, SILENCE, encode
from telebot.sip.rtp import RtpStream

TONES_HZ = (440, 480)
ON_S, OFF_S = 2, 4
PEAK = 0.08  # of full scale, each


@cache
def tone() -> bytes:
    """One ring and the pause behind it: 8 kHz mu-law."""
    time = np.arange(ON_S * RATE_HZ) / RATE_HZ
    sound = sum(np.sin(2 * np.pi * hz * time) for hz in TONES_HZ) * PEAK * 32767
    return encode(np.asarray(sound).astype("<i2").tobytes()) + SILENCE * (OFF_S * RATE_HZ)


@asynccontextmanager
async def ringback(stream: RtpStream) -> AsyncIterator[None]:
    """Ring in the caller's ear as long as this lasts."""
    playing = asyncio.create_task(_play(stream))
    try:
        yield
    finally:
        playing.cancel()
        await asyncio.gather(playing, return_exceptions=True)
        stream.send_clear()


async def _play(stream: RtpStream) -> None:
    while True:
        stream.send_audio(tone())
        await asyncio.sleep(ON_S + OFF_S)
