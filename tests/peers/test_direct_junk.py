"""A direct session whose vendor sends what is no message of its wire: the session is lost, so that
another one is opened, and nothing else breaks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from telebot.call.errors import ProviderError
from telebot.providers import openai_direct
from telebot.providers.direct import Manner
from telebot.providers.resources import Resources

pytestmark = pytest.mark.peers


@pytest.fixture
async def vendor() -> AsyncIterator[tuple[str, list[str]]]:
    """Its address, and what it sends once a session is up."""
    junk: list[str] = []

    async def answer(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "session.created"}))
        await socket.recv()
        await socket.send(json.dumps({"type": "session.updated"}))
        for message in junk:
            await socket.send(message)
        await socket.wait_closed()

    async with serve(answer, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}/v1", junk


@pytest.mark.parametrize(
    "message",
    [
        "not json",
        "[]",
        {"type": "error", "error": "a text"},
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": "soon"},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": "late"},
        {"type": "conversation.item.input_audio_transcription.completed", "usage": [1]},
        {"type": "response.created", "response": "one"},
        {"type": "response.output_audio.delta", "delta": "/"},
        {"type": "response.done", "response": {"usage": "much"}},
        {"type": "response.done", "response": ["failed"]},
        "[" * 100_000,
    ],
)
async def test_junk_is_the_vendors_failure(vendor: tuple[str, list[str]], message: Any) -> None:
    url, junk = vendor
    junk.append(message if isinstance(message, str) else json.dumps(message))
    resources = Resources(None, {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": url})
    session = openai_direct.build({}, resources)
    try:
        await session.open(Manner(), ())
        async with asyncio.timeout(10):
            with pytest.raises(ProviderError):
                async for _ in session.events():
                    pass
    finally:
        await session.close()
        await resources.close()
