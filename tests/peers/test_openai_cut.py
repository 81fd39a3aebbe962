"""An answer of OpenAI's that is cut in a direct session: the vendor is told which one, and how much
of it was heard, also where it has begun the next one by then."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from telebot.providers import openai_direct
from telebot.providers.direct import Manner, ReplyAudio
from telebot.providers.resources import Resources

pytestmark = pytest.mark.peers

SECOND = base64.b64encode(bytes(48_000)).decode()  # int16 at 24 kHz


def answer(name: str) -> list[dict[str, Any]]:
    """One second of it."""
    said = {"response_id": name, "item_id": f"item-{name}", "content_index": 0, "delta": SECOND}
    return [
        {"type": "response.created", "response": {"id": name}},
        {"type": "response.output_audio.delta", **said},
    ]


async def test_what_is_told_of_a_cut_names_the_answer() -> None:
    told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def vendor(socket: ServerConnection) -> None:
        await socket.send(json.dumps({"type": "session.created"}))
        await socket.recv()
        for event in ({"type": "session.updated"}, *answer("one"), *answer("two")):
            await socket.send(json.dumps(event))
        async for message in socket:
            told.put_nowait(json.loads(message))

    async with serve(vendor, "127.0.0.1", 0) as server, asyncio.timeout(30):
        port = next(iter(server.sockets)).getsockname()[1]
        environ = {"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1"}
        resources = Resources(None, environ)
        session = openai_direct.build({}, resources)
        try:
            await session.open(Manner(), ())
            heard = 0
            async for event in session.events():
                heard += isinstance(event, ReplyAudio)
                if heard == 1:
                    session.cut(0.25)
                    heard += 1
                if heard == 3:
                    break
            await session.tell_cut()
            await session.tell_cut()  # there is nothing more to tell
            assert await told.get() == {"type": "response.cancel", "response_id": "one"}
            assert await told.get() == {
                "type": "conversation.item.truncate",
                "item_id": "item-one",
                "content_index": 0,
                "audio_end_ms": 250,
            }
            await session.say("Hello?")
            assert (await told.get())["type"] == "conversation.item.create"
        finally:
            await session.close()
            await resources.close()
