"""Preferences and flags over real HTTP: what a user prefers is done, what they forbid is not."""

from __future__ import annotations

import asyncio
import io
import time
from datetime import UTC, datetime

import aiohttp
import pytest
from edge_server import OneKey
from sqlalchemy import insert, select
from voice_server import SECRET, VoiceServer, voice_server

from telebot.audio import wav
from telebot.records.choices import Choices
from telebot.records.keys import ApiKey, Scope
from telebot.records.rows import worked
from telebot.records.store import Store
from telebot.records.tables import audit, work
from telebot.records.vault import Vault

pytestmark = pytest.mark.peers

PATH, FLAGS, HEAR, SPEAK = (
    f"/v1/voice/{name}" for name in ("preferences", "flags", "transcribe", "synthesize")
)
HZ = 16_000
OTHER, VIEWER = "tb_key-of-somebody-else", "tb_key-of-a-viewer"
TEXT = "Good evening."


class ThreeKeys(OneKey):
    """An admin and two more."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        known = {SECRET: Scope.ADMIN, OTHER: Scope.ADMIN, VIEWER: Scope.VIEWER}
        if secret not in known:
            return await super().check(secret, wanted)
        return ApiKey(secret[-6:], "", known[secret], "created", datetime.now(UTC), None, None)


BOTH = pytest.mark.parametrize("store", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
async def store(request, tmp_path, database):
    url = await database() if getattr(request, "param", "") == "postgresql" else ""
    made = Store(url, tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
async def server(speech, store):
    choices = Choices(store, lambda: datetime.now(UTC), time.monotonic)
    vault = Vault(store, [bytes(32)], lambda: datetime.now(UTC))
    async with voice_server(
        speech, "openai", choices=choices, vault=vault, key_store=ThreeKeys("none")
    ) as running:
        yield running


@pytest.fixture(scope="module")
def file(speech):
    async def spoken() -> bytes:
        clips = [clip.pcm16 async for clip in speech.tts.stream(TEXT, rate_hz=HZ)]
        return wav.written(b"".join(clips), HZ)

    return asyncio.run(spoken())


async def ask(server: VoiceServer, method: str, path: str, key: str = SECRET, **request):
    headers = {"Authorization": f"Bearer {key}"}
    async with server.session.request(
        method, server.url + path, headers=headers, **request
    ) as answer:
        body = await answer.json() if "json" in answer.content_type else await answer.read()
        return answer.status, body


async def put(server: VoiceServer, tree: dict, user: str = "", key: str = SECRET):
    query = f"?user={user}" if user else ""
    return await ask(server, "PUT", PATH + query, key, json=tree)


def form(file: bytes, **fields: str) -> aiohttp.FormData:
    sent = aiohttp.FormData()
    for name, value in fields.items():
        sent.add_field(name, value)
    sent.add_field("file", io.BytesIO(file), filename="a.wav")
    return sent


async def test_what_a_user_prefers_is_done(server):
    assert (await put(server, {"model": {"tts": "local"}, "format": "wav"}, "anna"))[0] == 200
    _, _, headers = await server.post(SPEAK, json={"text": TEXT})
    assert (headers["x-provider"].partition("/")[0], headers["Content-Type"]) == (
        "openai", "audio/mpeg",
    )  # fmt: skip
    _, body, headers = await server.post(SPEAK, json={"text": TEXT, "user": "anna"})
    assert (headers["x-provider"], headers["Content-Type"]) == ("local", "audio/wav")
    assert body[:4] == b"RIFF"
    _, _, headers = await server.post(
        SPEAK, json={"text": TEXT, "user": "anna", "model": "openai", "format": "mp3"}
    )
    assert headers["x-provider"].startswith("openai/")
    assert [done.user for done in server.done] == ["", "anna", "anna"]


async def test_the_usual_voice_is_that_of_whoever_speaks(server):
    await put(server, {"voice": {"openai": "none-of-theirs"}})  # which they refuse
    alone = {"text": TEXT, "model": "openai", "provider": {"allow_fallbacks": False}}
    status, told, _ = await server.post(SPEAK, json=alone)
    assert (status, told["error"]["code"]) == (400, "provider_refused")
    assert (await server.post(SPEAK, json=alone | {"voice": "sage"}))[0] == 200
    status, _, headers = await server.post(SPEAK, json={"text": TEXT, "model": "local"})
    assert (status, headers["x-provider"]) == (200, "local")
    await put(server, {"voice": {"openai": "sage", "local": "heart"}})
    assert (await server.post(SPEAK, json=alone))[0] == 200


async def test_nothing_leaves_this_machine_for_who_forbids_it(server, file):
    await put(server, {"privacy": {"data_collection": "deny"}}, "anna")
    _, heard, _ = await server.post(HEAR, data=form(file))
    assert heard["provider"].startswith("openai/")
    _, heard, _ = await server.post(HEAR, data=form(file, user="anna"))
    assert heard["provider"] == "local"
    loosened = form(file, user="anna", model="openai", provider='{"data_collection": "allow"}')
    _, heard, _ = await server.post(HEAR, data=loosened)
    assert heard["provider"] == "local"
    only = form(file, user="anna", provider='{"only": ["openai"]}')
    status, told, _ = await server.post(HEAR, data=only)
    assert (status, told["error"]["code"]) == (400, "no_provider")


async def test_openais_words_know_users_too(server, file):
    await put(server, {"privacy": {"data_collection": "deny"}}, "anna")
    sent = form(file, model="openai", user="anna")
    _, _, headers = await server.post("/v1/audio/transcriptions", data=sent)
    assert headers["x-provider"] == "local"
    spoken = {"model": "openai", "input": TEXT, "voice": "heart", "user": "anna"}
    _, _, headers = await server.post("/v1/audio/speech", json=spoken)
    assert headers["x-provider"] == "local"
    spoken["voice"] = "alloy"  # OpenAI's alone: who stands in has a voice of their own
    _, _, headers = await server.post("/v1/audio/speech", json=spoken)
    assert headers["x-provider"] == "local"
    spoken["voice"] = "nobody"  # which nobody has who may be asked
    status, told, _ = await server.post("/v1/audio/speech", json=spoken)
    assert (status, told["error"]["code"]) == (400, "provider_refused")


async def test_nothing_is_kept_of_who_forbids_it(server, speech):
    await put(server, {"privacy": {"keep": False, "link": False}}, "anna")
    asked = {"text": "Nobody else says this.", "model": "local", "format": "wav"}
    kept = speech.tts.cache_stats().entries
    _, first, _ = await server.post(SPEAK, json=asked | {"user": "anna"})
    assert speech.tts.cache_stats().entries == kept
    assert server.done[-1].user == ""
    _, second, _ = await server.post(SPEAK, json=asked | {"user": "ben"})
    assert speech.tts.cache_stats().entries == kept + 1
    assert len(first) > 10_000
    assert len(second) > 10_000


@BOTH
async def test_nobody_sees_anothers(server):
    await put(server, {"speed": 1.3}, "anna")
    _, told = await ask(server, "GET", f"{PATH}?user=anna", OTHER)
    assert (told["preferences"]["speed"], told["updated_at"]) == (None, None)
    assert (await ask(server, "GET", f"{PATH}/users", OTHER))[1]["data"] == []
    assert (await ask(server, "DELETE", f"{PATH}?user=anna", OTHER))[0] == 404
    _, told = await ask(server, "GET", f"{PATH}?user=anna")
    assert told["preferences"]["speed"] == 1.3


@BOTH
async def test_a_patch_changes_what_it_names(server):
    await put(server, {"speed": 1.3, "model": {"tts": "local"}, "privacy": {"link": False}})
    patch = {"speed": None, "model": {"stt": "local"}, "language": "de"}
    status, told = await ask(server, "PATCH", PATH, json=patch)
    prefers = told["preferences"]
    assert (status, prefers["speed"], prefers["language"]) == (200, None, "de")
    assert (prefers["model"]["stt"], prefers["model"]["tts"]) == ("local", "local")
    assert prefers["privacy"]["link"] is False
    status, told = await ask(server, "PATCH", PATH, json={"speed": 99})
    assert (status, told["error"]["param"]) == (400, "speed")
    _, told = await ask(server, "GET", PATH)
    assert told["preferences"] == prefers


@BOTH
async def test_users_by_pages(server):
    for number in range(5):
        await put(server, {"speed": 1.1}, f"u{number}")
    await put(server, {"speed": 1.1})
    _, page = await ask(server, "GET", f"{PATH}/users?limit=3")
    assert [row["user"] for row in page["data"]] == ["u0", "u1", "u2"]
    _, page = await ask(server, "GET", f"{PATH}/users?limit=3&cursor={page['next_cursor']}")
    assert ([row["user"] for row in page["data"]], page["next_cursor"]) == (["u3", "u4"], None)


@BOTH
async def test_of_a_deleted_user_nothing_is_left(server, store):
    await put(server, {"speed": 1.3}, "anna")
    for user in ("anna", "anna", "ben"):
        await server.post(SPEAK, json={"text": TEXT, "user": user, "model": "local"})
    async with store.writing() as connection:
        for done in server.done:
            await connection.execute(insert(work).values(worked(done.values()).values))
    assert (await ask(server, "DELETE", f"{PATH}?user=anna"))[0] == 204
    async with store.reading() as connection:
        rows = (await connection.execute(select(work.c.user_id))).scalars().all()
        noted = (await connection.execute(select(audit.c.action, audit.c.fields))).all()
    assert sorted(row or "" for row in rows) == ["", "", "ben"]
    assert {row.action for row in noted} == {"preferences_stored", "user_forgotten"}
    assert "anna" not in str(noted)
    assert (await ask(server, "DELETE", f"{PATH}?user=anna"))[0] == 404


@pytest.mark.parametrize(
    ("tree", "status", "param"),
    [
        ({"speed": 9}, 400, "speed"),
        ({"nothing": 1}, 400, "nothing"),
        ({"model": {"tts": "nobody"}}, 404, "model.tts"),
        ({"voice": {"nobody": "x"}}, 404, "voice"),
        ({"agent": "nobody"}, 404, "agent"),
        ({"language": "?"}, 400, "language"),
        ({"privacy": {"data_collection": "maybe"}}, 400, "privacy.data_collection"),
        ({"provider": {"tts": {"options": {"openai": {"api_key": "x"}}}}}, 400, "provider"),
    ],
)
async def test_what_cannot_be_preferred_is_refused(server, tree, status, param):
    got, told = await put(server, tree)
    assert got == status
    assert told["error"]["param"].startswith(param)
    for user in ("", "a b", "x" * 65):
        assert (await ask(server, "GET", f"{PATH}?user={user}"))[0] == 400


@BOTH
async def test_a_flag_is_tried_on_some_and_told(server):
    flag = {"percent": 50, "variants": [{"name": "here", "settings": {"model": {"tts": "local"}}}]}
    status, told = await ask(server, "PUT", f"{FLAGS}/own-voice", json=flag)
    assert (status, told["name"], told["flag"]["percent"]) == (200, "own-voice", 50)
    for number in range(12):
        await server.post(SPEAK, json={"text": "One.", "user": f"u{number}"})
    by = {done.variant: done.provider.partition("/")[0] for done in server.done}
    assert by == {"own-voice:here": "local", "own-voice:off": "openai"}
    _, mine = await ask(server, "GET", f"{FLAGS}/mine?user=u3")
    assert f"own-voice:{mine['flags']['own-voice']}" == server.done[3].variant
    assert (await ask(server, "GET", f"{FLAGS}/mine", VIEWER))[0] == 200
    for method, path in (("GET", FLAGS), ("PUT", f"{FLAGS}/x"), ("DELETE", f"{FLAGS}/own-voice")):
        assert (await ask(server, method, path, VIEWER, json=flag))[0] == 403
    assert (await ask(server, "DELETE", f"{FLAGS}/own-voice"))[0] == 204
    assert (await ask(server, "GET", f"{FLAGS}/own-voice"))[0] == 404
    _, told = await ask(server, "GET", "/v1/voice/config/audit")
    assert {row["action"] for row in told["data"]} == {"flag_stored", "flag_deleted"}


@pytest.mark.parametrize(
    ("name", "flag", "status"),
    [
        ("mine", {"variants": [{"name": "on"}]}, 400),
        ("A", {"variants": [{"name": "on"}]}, 400),
        ("a", {"variants": []}, 400),
        ("a", {"variants": [{"name": "on", "settings": {"model": {"tts": "nobody"}}}]}, 404),
    ],
)
async def test_a_flag_that_cannot_act_is_refused(server, name, flag, status):
    assert (await ask(server, "PUT", f"{FLAGS}/{name}", json=flag))[0] == status
    assert (await ask(server, "GET", FLAGS))[1]["data"] == []
