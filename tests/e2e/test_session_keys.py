"""Sessions that outlive what their key may: it is revoked, or its budget is used up meanwhile; and
what the record tells of what was written and changed in one."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from aside import desks
from serving import Server
from session_client import SessionClient
from simulated import Simulated

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

VENDORS = ("openai",)
SESSION = "/v1/voice/realtime/session"


@pytest.fixture(scope="module")
def server(together: Simulated, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with desks(tmp_path_factory.mktemp("desk"), together.environ, desk={}) as one:
        yield one


async def key_of(server: Server, **terms: Any) -> dict[str, Any]:
    made: dict[str, Any] = await server.post(
        "/v1/keys", {"name": "one", "scope": "operator", **terms}
    )
    return made


async def asked(server: Server, method: str, path: str, secret: str) -> Any:
    """What is answered to this key; None where it is nothing."""
    headers = {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession(trust_env=False, headers=headers) as http,
        http.request(method, server.url + path) as response,
    ):
        assert response.status < 300, await response.text()
        return None if response.status == 204 else await response.json()


def talking(server: Server, speech: LocalSpeech, **options: Any) -> SessionClient:
    """A client whose microphone is off."""
    session = SessionClient(server.url, speech, **options)
    session.microphone = False
    return session


async def test_a_revoked_key_ends_its_sessions_and_its_tokens(
    server: Server, speech: LocalSpeech
) -> None:
    made = await key_of(server)
    given = await asked(server, "POST", SESSION, made["secret"])
    async with talking(server, speech, key=made["secret"]) as session:
        ready = await session.of("ready")
        await session.of("turn", turn=0)
        await asked(server, "DELETE", f"/v1/keys/{made['id']}", server.key)
        assert await session.until_closed() == 4401
        assert [m["code"] for m in session.messages if m["type"] == "error"] == ["key_gone"]
        assert (await session.of("ended"))["reason"] == "operator_hangup"
    assert (await server.record(ready["session"]))["termination"]["reason"] == "operator_hangup"
    async with talking(server, speech, token=given["token"]) as late:
        assert await late.until_closed() == 4401
        assert late.messages[0]["code"] == "key_gone"


@pytest.mark.parametrize("mode", ["chain", "direct"])
async def test_a_budget_that_is_used_up_ends_the_session(
    server: Server, speech: LocalSpeech, mode: str
) -> None:
    made = await key_of(server, monthly_budget=0.000001)
    kind = "realtime" if mode == "direct" else "llm"
    wished = {kind: "openai", "allow_fallbacks": False}  # however slow this machine is
    async with talking(server, speech, key=made["secret"], mode=mode, provider=wished) as session:
        await session.of("ready")
        await session.ask("text", text="When are you open?")
        assert await session.until_closed() == 4402
        codes = [m["code"] for m in session.messages if m["type"] == "error"]
        assert codes == ["budget_used_up"]
        assert (await session.of("ended"))["reason"] == "budget"
    async with talking(server, speech, key=made["secret"]) as again:
        assert await again.until_closed() == 4402, "the bill counts at once"


async def test_what_was_written_and_changed_stands_in_the_record(
    server: Server, speech: LocalSpeech
) -> None:
    async with talking(server, speech, key=server.key) as session:
        ready = await session.of("ready")
        await session.of("turn", turn=0)
        await asyncio.sleep(1.0)
        await session.ask("text", text="Where can I park?")
        told = await session.of("turn", turn=1)
        assert 0 < told["latency_ms"]["heard"] < 5000
        assert (await session.ask("setProvider", provider={"tts": "openai"}))["type"] == "ok"
        assert (await session.ask("setProvider", provider={"stt": "nobody"}))["type"] == "error"
        await session.send(type="end")
        assert await session.until_closed() == 1000
    record = await server.record(ready["session"])
    greeting, turn = record["turns"]
    assert greeting["bot_offset_s"] < 0.5
    assert turn["caller_offset_s"] > greeting["bot_offset_s"] + 1.0
    assert turn["bot_offset_s"] > turn["caller_offset_s"]
    assert record["recording"]["duration_s"] > turn["bot_offset_s"]
    events = (await server.get(f"/v1/calls/{record['id']}/events?limit=500"))["data"]
    offsets = [event["offset_s"] for event in events if event["offset_s"] is not None]
    assert offsets == sorted(offsets)
    assert offsets[-1] > turn["bot_offset_s"]
    changed, refused = [event for event in events if "changed" in event["name"]]
    assert changed["name"] == "changed"
    assert changed["fields"]["of"] == "setProvider"
    assert changed["fields"]["tts"].startswith("openai/")
    assert changed["fields"]["ms"] >= 0
    assert (refused["name"], refused["fields"]["of"]) == ("not_changed", "setProvider")
    assert "nobody" in refused["fields"]["why"]


async def test_an_interruption_does_not_forget_what_the_client_is_saying(
    server: Server, speech: LocalSpeech
) -> None:
    async with SessionClient(server.url, speech, key=server.key) as session:
        await session.of("turn", turn=0)
        saying = asyncio.create_task(session.say("Where can I park my car, please?"))
        await asyncio.sleep(0.8)
        assert (await session.ask("interrupt"))["type"] == "ok"
        await saying
        turn = await session.until(lambda m: m["type"] == "turn" and m["text"])
        assert "park" in turn["text"].lower()
