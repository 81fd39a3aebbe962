"""Sessions that begin too late, fall silent, are too many, and what becomes of them when the server
stops: each told by its close code."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from serving import REPOSITORY, Server
from session_client import SessionClient

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

SETTINGS = {
    "server": {"drain_s": 0},
    "media": {"start_timeout_s": 1.0},
    "voice": {"session_idle_s": 3.0, "sessions_per_key": 2, "origins": ["https://app.example"]},
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "agents").mkdir()
    echo = REPOSITORY / "config/agents/echo.yaml"
    (tmp_path / "agents/echo.yaml").write_text(echo.read_text())
    (tmp_path / "numbers.yaml").write_text('numbers:\n  "*": echo\n')
    (tmp_path / "telebot.yaml").write_text(yaml.safe_dump(SETTINGS))
    with Server(tmp_path / "data", tmp_path / "telebot.yaml") as one:
        yield one


def client(server: Server, speech: LocalSpeech, **options: Any) -> SessionClient:
    return SessionClient(server.url, speech, key=server.key, **options)


async def test_limits_and_the_end_of_the_server(server: Server, speech: LocalSpeech) -> None:
    url = server.url.replace("http", "ws", 1) + "/v1/voice/realtime"
    headers = {"Authorization": f"Bearer {server.key}"}
    async with aiohttp.ClientSession(headers=headers) as http, http.ws_connect(url) as late:
        assert (await late.receive_json(timeout=20)) == {"type": "ended", "reason": "no_start"}
        await late.receive(timeout=20)
        assert late.close_code == 4408
    silent = client(server, speech)
    silent.microphone = False
    async with silent:
        await silent.of("ready")
        assert await silent.until_closed() == 4408
    async with (
        client(server, speech, origin="https://app.example") as one,
        client(server, speech) as two,
    ):
        await asyncio.gather(one.of("ready"), two.of("ready"))
        async with client(server, speech) as third:
            assert await third.until_closed() == 4429
            assert third.messages[0]["code"] == "too_many_sessions"
        server.terminate()
        assert await asyncio.gather(one.until_closed(), two.until_closed()) == [1001, 1001]
        for session in (one, two):
            assert session.messages[-1] == {"type": "ended", "reason": "drained"}
