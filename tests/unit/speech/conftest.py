"""The real voice, loaded once; a line's worth of its speech."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable, Iterator

import pytest

from telebot.audio import g711
from telebot.providers.local_speech import LocalSpeech
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
def spoken(voice: TextToSpeech) -> Callable[[str], bytes]:
    """Text to 8 kHz mu-law, as a caller's telephone sends it."""

    async def stream(text: str) -> bytes:
        return b"".join([clip.pcm16 async for clip in voice.stream(text)])

    kept: dict[str, bytes] = {}

    def say(text: str) -> bytes:
        if text not in kept:
            kept[text] = g711.encode(asyncio.run(stream(text)))
        return kept[text]

    return say


@pytest.fixture(scope="session")
def local() -> LocalSpeech:
    """Scripted services need no models."""
    return LocalSpeech()
