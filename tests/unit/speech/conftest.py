"""The real voice, loaded once; a line's worth of its speech."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from telebot.audio import g711
from telebot.providers.synthesiser import TextToSpeech

with warnings.catch_warnings():
    # Pipecat 1.14 derives one of its own classes from a deprecated one when it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service  # noqa: F401


@pytest.fixture(scope="session")
def voice() -> Iterator[TextToSpeech]:
    tts = TextToSpeech()
    tts.load()
    yield tts
    tts.close()


@pytest.fixture(scope="session")
def spoken(voice: TextToSpeech) -> Iterator[Callable[[str], bytes]]:
    """Text to 8 kHz mu-law, as a caller's telephone sends it."""
    aside = ThreadPoolExecutor(1)  # a test may have a loop of its own running

    async def stream(text: str) -> bytes:
        return b"".join([clip.pcm16 async for clip in voice.stream(text)])

    kept: dict[str, bytes] = {}

    def say(text: str) -> bytes:
        if text not in kept:
            pcm16 = aside.submit(asyncio.run, stream(text)).result()
            kept[text] = g711.encode(pcm16)
        return kept[text]

    yield say
    aside.shutdown()
