"""Flags act on realtime sessions: who is drawn in hears the other voice, and what came of it is
compared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from aside import desks
from serving import Server
from session_client import SessionClient
from simulated import Simulated

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

VENDORS = ("deepgram",)
FLAG = {
    "percent": 50,
    "variants": [{"name": "other", "settings": {"model": {"tts": "deepgram"}}}],
}
MOST_DRAWN = 20


@pytest.fixture
def server(vendors: Simulated, tmp_path: Path) -> Iterator[Server]:
    with desks(tmp_path, vendors.environ, desk={}, night={}) as running:
        yield running


async def test_who_is_drawn_in_hears_another_voice_and_it_is_counted(
    server: Server, speech: LocalSpeech
) -> None:
    key = server.key
    voice = f"{server.url}/v1/voice"

    async def talked(user: str) -> tuple[str, str]:
        """The voice, and the agent."""
        async with SessionClient(server.url, speech, key=key, user=user) as session:
            ready = await session.of("ready")
            await session.of("turn", turn=0)
            await session.ask("text", text="Where can I park?")
            await session.of("turn", turn=1)
            await session.send(type="end")
            await session.until_closed()
        await server.record(ready["session"])
        return ready["providers"]["tts"], ready["agent"]

    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http:

        async def put(path: str, tree: object) -> None:
            async with http.put(f"{voice}/{path}", json=tree) as answer:
                assert answer.status == 200, await answer.text()

        async def get(path: str) -> dict:
            async with http.get(f"{voice}/{path}") as answer:
                assert answer.status == 200, await answer.text()
                return await answer.json()

        await put("flags/new-voice", FLAG)
        await put("preferences?user=owl", {"agent": "night", "privacy": {"experiments": False}})
        drawn: dict[str, str] = {}  # the variant's first user
        for number in range(MOST_DRAWN):
            mine = await get(f"flags/mine?user=u{number}")
            drawn.setdefault(mine["flags"]["new-voice"], f"u{number}")
        heard = {variant: await talked(user) for variant, user in sorted(drawn.items())}
        assert set(heard) == {"off", "other"}
        assert heard["off"] == ("local", "desk")
        assert heard["other"][0].partition("/")[0] == "deepgram"
        assert await talked("owl") == ("local", "night")

        [trial] = (await get("analytics?by=variant&flag=new-voice"))["trials"]
        assert (trial["kind"], trial["base"]) == ("realtime", "off")
        by = {row["variant"]: row for row in trial["variants"]}
        assert set(by) == {"off", "other"}
        for row in by.values():
            assert (row["users"], row["requests"], row["failed"]) == (1, 1, 0)
            assert row["ms"] is None
        used = (await get("usage?by=variant,user,agent"))["data"]
        told = {(row["variant"], row["user"], row["agent"]) for row in used}
        assert told >= {
            ("new-voice:other", drawn["other"], "desk"), ("", "owl", "night"),
        }  # fmt: skip
