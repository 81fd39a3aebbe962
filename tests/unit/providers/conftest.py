"""The real models, loaded once for these tests."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Awaitable, Callable, Iterator

import pytest

from telebot.audio import g711
from telebot.providers.local_speech import LocalSpeech

with warnings.catch_warnings():
    # Pipecat 1.14 derives one of its own classes from a deprecated one when it is imported
    warnings.simplefilter("ignore", DeprecationWarning)
    import pipecat.services.tts_service  # noqa: F401


@pytest.fixture(scope="session")
def speech() -> Iterator[LocalSpeech]:
    loaded = LocalSpeech()
    asyncio.run(loaded.load())
    yield loaded
    loaded.close()


@pytest.fixture
def say(speech: LocalSpeech) -> Callable[[str], Awaitable[bytes]]:
    """Text to what a phone line makes of it: int16 8 kHz through mu-law."""

    async def spoken(text: str) -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(text)]
        return g711.decode(g711.encode(b"".join(clips)))

    return spoken
