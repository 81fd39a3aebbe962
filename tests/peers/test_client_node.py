"""The JavaScript client in Node, over real sockets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from absent import absent
from node import PROGRAMS, node
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
