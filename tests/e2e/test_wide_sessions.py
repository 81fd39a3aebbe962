"""Sessions above the telephone's band, spoken: what a client says arrives there, and what it is
told, live and in the recording; at 8 kHz everything stays a telephone's."""

from __future__ import annotations

import io
import wave
from typing import Any

import aiohttp
import numpy as np
import pytest
from band import above_db
from serving import Server
from session_client import SessionClient

from telebot.phone.voices import LocalSpeech
from telebot.providers.local_speech import LocalSpeech as Models

pytestmark = pytest.mark.e2e

WIDE_DB, NARROW_DB = -30.0, -45.0
SAID = "The restaurant on this side of the street is closed on Sundays."


def key_of(server: Server) -> str:
    return (server.data / "admin-key").read_text().strip()


async def recording(server: Server, call: str) -> tuple[dict[int, bytes], int]:
    """Left and right, and their rate."""
    headers = {"Authorization": f"Bearer {key_of(server)}"}
    async with (
        aiohttp.ClientSession(headers=headers) as http,
        http.get(f"{server.url}/v1/calls/{call}/recording") as answer,
    ):
        assert answer.status == 200
        with wave.open(io.BytesIO(await answer.read())) as file:
            stereo = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
            return {n: stereo[:, n].tobytes() for n in (0, 1)}, file.getframerate()


async def spoken(models: Models, rate_hz: int) -> bytes:
    return b"".join([clip.pcm16 async for clip in models.tts.stream(SAID, rate_hz=rate_hz)])


@pytest.mark.parametrize("rate", [8000, 16_000, 48_000])
async def test_the_band_of_a_session_is_that_of_its_rate(
    server: Server, speech: LocalSpeech, rate: int
) -> None:
    wide = rate > 8000
    async with (
        Models() as models,
        SessionClient(server.url, speech, key=key_of(server), rate=rate, agent="echo") as session,
    ):
        ready = await session.of("ready")
        await session.of("turn", turn=0)
        await session.words()
        await session.say_pcm(await spoken(models, rate))
        turn = await session.until(lambda m: m["type"] == "turn" and m["text"])
        told = await session.played()
        assert (above_db(told, rate) > WIDE_DB) is wide
        await session.send(type="end")
        assert await session.until_closed() == 1000
        heard = (await models.stt.transcribe(told, rate)).text
        for words in (turn["text"], heard):
            # a busy machine may be late inside a word; that none is lost is told elsewhere
            missing = [
                word for word in SAID.lower().strip(".").split() if word not in words.lower()
            ]
            assert len(missing) <= 2, words
        await server.record(ready["session"])
        channels, rate_hz = await recording(server, ready["call"])
    assert rate_hz == (16_000 if wide else 8000)
    if not wide:
        return
    for name, channel in zip(("client", "bot"), channels.values(), strict=True):
        assert above_db(channel, rate_hz) > WIDE_DB, name
        assert any(channel), name


def test_the_measure_tells_a_telephones_sound_from_a_wide_one(speech: LocalSpeech) -> None:
    tone: Any = np.sin(np.arange(16_000) / 16_000 * 2 * np.pi * 1000) * 8000
    assert above_db(tone.astype(np.int16).tobytes(), 16_000) < NARROW_DB
