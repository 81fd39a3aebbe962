"""Vendors' own short-lived credentials: made with the session's configuration, by the owner's key
before the house's, and good for a session at the vendor (simulated)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from simulated import Simulated, simulated

from telebot.call.errors import ApiError
from telebot.providers.credentials import Wanted
from telebot.providers.local_speech import LocalSpeech
from telebot.voice.credentials import Given, given
from telebot.voice.routing import KeySource
from telebot.voice.sessions import SessionRequest

pytestmark = pytest.mark.peers

VENDORS = ("openai", "gemini", "elevenlabs")
WANTED = Wanted(voice="", language="en-GB", instructions="Be brief.", life_s=300.0)


@pytest.fixture
async def vendors(speech: LocalSpeech) -> AsyncIterator[Simulated]:
    async with simulated(speech, VENDORS) as running:
        yield running


async def asked(vendors: Simulated, *own: KeySource, **request: object) -> Given:
    keys = [*own, KeySource(vendors.resources)]
    whole = SessionRequest.model_validate({"target": "vendor", **request})
    return await given(whole, keys, [{"service": "elevenlabs", "agent": "agent_phone"}], WANTED)


async def test_openai(vendors: Simulated) -> None:
    made = await asked(vendors, provider={"realtime": "openai/gpt-realtime-2.1-mini"})
    assert (made.provider, made.own_key) == ("openai", False)
    secret = made.credential
    assert secret.secret.startswith("ek_")
    assert 290 < (secret.expires_at - datetime.now(UTC)).total_seconds() <= 301
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret.secret}"}) as http,
        http.ws_connect(secret.url) as socket,
    ):
        session = (await socket.receive_json())["session"]
        assert session["model"] == "gpt-realtime-2.1-mini"
        assert session["instructions"] == "Be brief."
        assert session["audio"]["input"]["transcription"]["language"] == "en"
        assert session["audio"]["output"]["voice"] == "marin"
    base = vendors.environ["OPENAI_BASE_URL"].removesuffix("/v1")
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {secret.secret}"}) as http,
        http.get(f"{base}/v1/models") as refused,
    ):
        assert refused.status == 401, "it opens nothing else"


async def test_gemini(vendors: Simulated) -> None:
    made = await asked(vendors, model="gemini", voice="Kore")
    secret = made.credential
    assert secret.secret.startswith("auth_tokens/")
    async with aiohttp.ClientSession() as http:
        async with http.ws_connect(secret.url) as socket:
            await socket.send_json({"setup": {"model": "models/another"}})
            assert json.loads((await socket.receive()).data) == {"setupComplete": {}}
        async with http.ws_connect(secret.url) as socket:
            assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE, "good once"


async def test_elevenlabs(vendors: Simulated) -> None:
    made = await asked(vendors, provider={"order": ["elevenlabs"]})
    assert (made.provider, made.credential.model) == ("elevenlabs", "agent_phone")
    assert made.credential.secret in made.credential.url
    async with aiohttp.ClientSession() as http, http.ws_connect(made.credential.url) as socket:
        await socket.send_json({"type": "conversation_initiation_client_data"})
        assert (await socket.receive_json())["type"] == "conversation_initiation_metadata"


async def test_the_owners_key_goes_first_and_the_next_vendor_after_it(vendors: Simulated) -> None:
    mine = KeySource(vendors.resources.with_key("openai", "mine"), own=True, provider="openai")
    assert (await asked(vendors, mine, model="openai")).own_key
    bad = KeySource(vendors.resources.with_key("openai", "bad-key"), own=True, provider="openai")
    made = await asked(vendors, bad, model="openai")
    assert not made.own_key
    assert [(each["cause"], each["is_byok"]) for each in made.attempts] == [("refused", True)]
    vendors.fault("openai.realtime=500@connect")
    vendors.sim.faults.on *= 2
    made = await asked(vendors, mine, provider={"order": ["openai"]})
    assert made.provider == "elevenlabs"
    assert [each["provider"] for each in made.attempts] == ["openai", "openai"]


async def test_where_nobody_can(vendors: Simulated) -> None:
    with pytest.raises(ApiError) as raised:
        await asked(vendors, model="deepgram")
    assert raised.value.status == 404
    vendors.resources.environ = {
        name: value for name, value in vendors.environ.items() if not name.endswith("_API_KEY")
    }
    with pytest.raises(ApiError) as raised:
        await asked(vendors, provider={"realtime": "openai", "allow_fallbacks": False})
    assert (raised.value.status, raised.value.code) == (400, "no_provider")
    with pytest.raises(ApiError) as raised:
        await asked(vendors, provider={"data_collection": "deny"})
    assert raised.value.status == 400
