"""Providers' keys of one's own: stored over HTTP, used before the house's, seen by nobody else."""

from __future__ import annotations

import asyncio
import io
import os
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from edge_server import OneKey
from simulated import simulated
from voice_server import SECRET, VoiceServer, voice_server

from telebot.audio import wav
from telebot.records.keys import ApiKey, Scope
from telebot.records.store import Store
from telebot.records.vault import FRESH_S, Vault

pytestmark = pytest.mark.peers

PATH = "/v1/voice/config/provider"
HEAR = "/v1/voice/transcribe"
HZ = 16_000
OTHER = "tb_key-of-somebody-else"


class TwoKeys(OneKey):
    """Two operators."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        if secret == OTHER:
            return ApiKey(
                "other", "other", Scope.OPERATOR, "created", datetime.now(UTC), None, None
            )
        key = await super().check(secret, wanted)
        return ApiKey(key.id, key.name, Scope.ADMIN, key.source, key.created_at, None, None)


@pytest.fixture(scope="module")
def file(speech):
    async def spoken() -> bytes:
        text = "I would like to book a table for four people."
        clips = [clip.pcm16 async for clip in speech.tts.stream(text, rate_hz=HZ)]
        return wav.written(b"".join(clips), HZ)

    return asyncio.run(spoken())


@pytest.fixture
async def server(speech, tmp_path):
    """The house has no key of its own; OpenAI is simulated."""
    store = Store("", tmp_path)
    await store.open()
    vault = Vault(store, [os.urandom(32)], lambda: datetime.now(UTC))
    async with simulated(speech, ["openai"]) as vendors:
        environ = {"OPENAI_BASE_URL": vendors.environ["OPENAI_BASE_URL"]}
        async with voice_server(
            speech, environ=environ, vault=vault, key_store=TwoKeys(SECRET)
        ) as running:
            yield running
    await store.close()


def form(file: bytes, **fields: str) -> aiohttp.FormData:
    sent = aiohttp.FormData()
    for name, value in fields.items():
        sent.add_field(name, value)
    sent.add_field("file", io.BytesIO(file), filename="a.wav")
    return sent


async def put(server: VoiceServer, **asked: object) -> tuple[int, dict]:
    async with server.session.put(server.url + PATH, json=asked) as answer:
        return answer.status, await answer.json()


async def test_ones_own_key_is_used_and_costs_the_house_nothing(server, file):
    status, heard, _ = await server.post(HEAR, data=form(file))
    assert heard["provider"] == "local"
    status, key = await put(server, provider="openai", key="my-own-canary-key-0001")
    assert (status, key["masked"]) == (200, "…0001")
    status, heard, _ = await server.post(HEAR, data=form(file))
    assert (status, heard["provider"]) == (200, "openai/gpt-transcribe")
    assert heard["usage"]["is_byok"]
    assert heard["usage"]["cost"] == 0
    assert heard["usage"]["upstream_cost"] > 0
    assert server.done[-1].values()["amount_nanos"] == 0


async def test_nobody_else_uses_or_sees_it(server, file):
    _, key = await put(server, provider="openai", key="my-own-canary-key-0001")
    other = {"Authorization": f"Bearer {OTHER}"}
    async with server.session.get(server.url + PATH, headers=other) as answer:
        assert (await answer.json())["data"] == []
    async with server.session.delete(f"{server.url}{PATH}/{key['id']}", headers=other) as answer:
        assert answer.status == 404
    _, heard, _ = await server.post(HEAR, data=form(file), headers=other)
    assert heard["provider"] == "local"
    async with server.session.get(f"{server.url}/v1/voice/config/audit", headers=other) as answer:
        assert answer.status == 403
    _, mine = await server.get(PATH)
    assert [row["id"] for row in mine["data"]] == [key["id"]]
    assert "canary" not in str(mine)


async def test_a_key_is_for_the_models_it_says(server, file):
    await put(server, provider="openai", key="my-own-canary-key-0001", allowed_models=["whisper-1"])
    _, heard, _ = await server.post(HEAR, data=form(file))
    assert heard["provider"] == "local"
    _, heard, _ = await server.post(HEAR, data=form(file, model="whisper-1"))
    assert heard["provider"] == "openai/whisper-1"


async def test_a_key_that_the_vendor_refuses_is_told_without_it(server, file):
    await put(server, provider="openai", key="bad-canary-key-0002")
    asked = form(file, model="openai", provider='{"allow_fallbacks": false}')
    status, told, _ = await server.post(HEAR, data=asked)
    assert (status, told["error"]["code"]) == (502, "no_access")
    assert told["error"]["metadata"]["attempts"][0]["is_byok"]
    assert "canary" not in str(told)


async def test_all_keys_of_a_provider_are_forgotten_at_once(server):
    other = {"Authorization": f"Bearer {OTHER}"}

    async def call(method: str, query: str = "", **asked: Any) -> tuple[int, Any]:
        url = f"{server.url}{PATH}{query}"
        async with server.session.request(method, url, **asked) as answer:
            return answer.status, await answer.json() if answer.status < 204 else None

    for provider, label in (("openai", "a"), ("openai", "b"), ("deepgram", "c")):
        stored = {"provider": provider, "key": "sk-12345678", "label": label}
        assert (await call("PUT", json=stored))[0] == 200
    assert (await call("PUT", json=stored, headers=other))[0] == 200
    assert (await call("DELETE"))[0] == 400
    assert (await call("DELETE", "?provider=openai&label=a"))[0] == 204
    assert [row["label"] for row in (await call("GET"))[1]["data"]] == ["b", "c"]
    assert (await call("DELETE", "?provider=openai"))[0] == 204
    assert (await call("DELETE", "?provider=openai"))[0] == 404
    assert (await call("DELETE", "?provider=deepgram"))[0] == 204
    assert len((await call("GET", headers=other))[1]["data"]) == 1, "another's is another's"


async def test_a_deleted_key_is_gone(server, file):
    _, key = await put(server, provider="openai", key="my-own-canary-key-0001")
    async with server.session.delete(f"{server.url}{PATH}/{key['id']}") as answer:
        assert answer.status == 204
    _, heard, _ = await server.post(HEAR, data=form(file))
    assert heard["provider"] == "local"
    _, told = await server.get("/v1/voice/config/audit")
    assert [row["action"] for row in told["data"]][-1] == "provider_key_stored"
    assert "canary" not in str(told)


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"provider": "nobody", "key": "x"}, 404),
        ({"provider": "local", "key": "x"}, 404),
        ({"provider": "openai", "key": ""}, 400),
        ({"provider": "openai", "key": "two words"}, 400),
        ({"provider": "openai"}, 400),
        ({"provider": "openai", "key": "x" * 5000}, 400),
    ],
)
async def test_what_cannot_be_stored_is_refused(server, asked, status):
    got, told = await put(server, **asked)
    assert got == status
    assert "x" * 50 not in str(told)


async def test_what_another_server_of_the_database_took_away_is_gone(tmp_path):
    store = Store("", tmp_path)
    await store.open()
    key = os.urandom(32)
    at_s = 0.0
    here, there = (Vault(store, [key], lambda: datetime.now(UTC), lambda: at_s) for _ in range(2))
    stored = await here.put("me", "openai", "sk-first-of-the-tests")
    assert [each.secret for each in await here.open("me")] == ["sk-first-of-the-tests"]
    assert await there.delete("me", stored.id)
    assert await there.open("me") == []
    at_s = FRESH_S
    assert await here.open("me") == []
    await store.close()


async def test_two_that_store_the_same_at_once_leave_one(tmp_path):
    store = Store("", tmp_path)
    await store.open()
    vault = Vault(store, [os.urandom(32)], lambda: datetime.now(UTC))
    secrets = [f"sk-number-{number}-of-the-tests" for number in range(8)]
    await asyncio.gather(*(vault.put("me", "openai", each, label="a\nb") for each in secrets))
    (kept,) = await vault.open("me")
    assert kept.secret in secrets
    await store.close()
