"""The JavaScript client in Node, over real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from typing import Any

import pytest
from absent import absent
from node import PROGRAMS, node, running
from realtime_line import KEY, RealtimeLine, Session

pytestmark = pytest.mark.peers

SECOND = bytes(2 * 24000)


async def scene(session: Session, message: dict[str, Any] | bytes | None) -> None:
    if not isinstance(message, dict) or message["type"] != "text":
        return
    if message["text"] == "break":
        session.cut()
    elif message["text"] == "fall silent":
        session.deaf = True


class Lines:
    """What a program writes, line by line."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self.seen: list[str] = []
        self._stream = stream

    async def until(self, beginning: str) -> None:
        async with asyncio.timeout(30):
            while line := (await self._stream.readline()).decode().strip():
                self.seen.append(line)
                if line.startswith(beginning):
                    return
        raise AssertionError(f"it ended before {beginning!r}: {self.seen}")


async def test_a_server_that_starts_again_is_found_again():
    async def nothing(session: Session, message: Any) -> None:
        """Only there."""

    async with AsyncExitStack() as stack:
        async with RealtimeLine(nothing) as line:
            program = PROGRAMS / "restart.mjs"
            client = await stack.enter_async_context(running(program, line.url, KEY, cwd=PROGRAMS))
            assert client.stdout
            states = Lines(client.stdout)
            await states.until("ready 0")
        await states.until("waiting 3")  # nobody is there
        again = await stack.enter_async_context(RealtimeLine(nothing, line.port))
        await states.until("closed")
        assert await client.wait() == 0
        assert len(line.sessions) == len(again.sessions) == 1
    assert [line for line in states.seen if line.startswith("ready")][1] != "ready 0"


class Answering(RealtimeLine):
    """Answers `say it` with a second of sound before it says that it was told."""

    async def _answer(self, session: Session, told: dict[str, Any]) -> None:
        if told.get("text") == "say it":
            await session.play(SECOND)
        if told.get("text") != "break":
            await super()._answer(session, told)


async def test_a_conversation_over_a_line_that_breaks():
    async with Answering(scene) as line:
        code, wrote = await node(PROGRAMS / "journey.mjs", line.url, KEY)
        assert code == 0, wrote
        told = json.loads(wrote)
        if "ws" not in told:
            absent("Node has no package ws: nobody tries the client with it")
        assert line.faults == []
        assert len(line.sessions) == 3 * len(told)
    for n, one in enumerate(told.values()):
        sessions = line.sessions[3 * n : 3 * n + 3]
        assert one["ready"]["sample_rate"] == 24000
        assert [session.start["agent"] for session in sessions] == ["front-desk"] * 3
        assert one["heard"] == 24000
        assert len(sessions[0].heard) == pytest.approx(2 * 24000, abs=100)
        assert one["broken"] == "disconnected"
        assert len(sessions[1].heard) == 4800  # what was said while nobody was there
        settings = [
            [m for m in session.messages if m["type"].startswith("set")] for session in sessions
        ]
        names = [[m.get("language") or m["provider"]["tts"] for m in each] for each in settings]
        assert names == [["de-DE"], ["de-DE", "local"], ["de-DE", "local"]]
        back = ["connecting", "ready"]
        broken = "waiting 1006"
        assert one["states"] == [*back, broken, *back, broken, *back, "closed 1000"]
        assert one["refused"] == {
            "key": {"code": "refused", "status": 401},
            "token": {"code": "disconnected", "closeCode": 4401},
            "nobody": {"code": "gave_up", "closeCode": 1006},
        }
