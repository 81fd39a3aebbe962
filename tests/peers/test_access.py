"""Who may do what on a whole server: keys with terms, tokens of an issuer, and what is whose."""

from __future__ import annotations

import gc
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from issuer_peer import IssuerPeer, issuer
from simulated import simulated

from telebot import app
from telebot.settings import load

pytestmark = pytest.mark.peers

SCRIPTED = {"stt": "scripted", "llm": "scripted", "tts": "scripted", "endpointing": "vad"}
SAY = "/v1/voice/synthesize"
TEXT = {"text": "Good evening.", "format": "wav"}


@pytest.fixture(autouse=True)
def as_it_was():
    """The collector's thresholds, which a server sets for its process."""
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


@dataclass
class House:
    """A server, its issuer, and its first key."""

    url: str
    http: aiohttp.ClientSession
    peer: IssuerPeer
    admin: str

    async def ask(self, method: str, path: str, secret: str, **request: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {secret}"}
        url = f"{self.url}{path}"
        async with self.http.request(method, url, headers=headers, **request) as answer:
            body = await answer.read()
            is_json = "json" in answer.content_type
            return answer.status, json.loads(body) if is_json and body else body

    async def key(self, **terms: Any) -> str:
        status, made = await self.ask("POST", "/v1/keys", self.admin, json={"name": "x", **terms})
        assert status == 201, made
        return str(made["secret"])


@pytest.fixture
async def house(speech, tmp_path: Path, http) -> AsyncIterator[House]:
    """OpenAI is simulated and has a key of the house's."""
    async with issuer() as peer, simulated(speech, ["openai"]) as vendors:
        (tmp_path / "agents").mkdir()
        tree = {"speech": SCRIPTED, "phrases": {"greeting": "Hello there."}}
        (tmp_path / "agents" / "test.yaml").write_text(yaml.safe_dump(tree))
        (tmp_path / "numbers.yaml").write_text('numbers:\\n  "*": test\\n'.replace("\\n", "\n"))
        row = {
            "issuer": peer.url,
            "audience": "telebot",
            "scopes": {"telebot-operator": "operator"},
            "default_scope": "viewer",
        }
        config = tmp_path / "telebot.yaml"
        config.write_text(yaml.safe_dump({"auth": {"oidc": {"id": row}}}))
        run = tmp_path / "run"
        run.mkdir(mode=0o700)
        environ = {name: vendors.environ[name] for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY")}
        overrides = {
            "server.http": "127.0.0.1:0",
            "server.sip": "127.0.0.1:0",
            "server.data": str(tmp_path / "data"),
        }
        settings = load(config, {"XDG_RUNTIME_DIR": str(run), **environ}, overrides)
        async with app.running(settings) as server:
            admin = (tmp_path / "data" / "admin-key").read_text().strip()
            yield House(f"http://{server.http}", http, peer, admin)


async def test_what_keys_and_tokens_may_use_and_whose_it_is(house):
    await keys_use_what_they_may(house)
    await tokens_are_owners(house)
    async with house.http.get(f"{house.url}/metrics") as answer:
        told = await answer.text()
    for name in ("voice_running", 'voice_waiting{tier="high"}', "voice_queued", "voice_turned"):
        assert name in told


async def keys_use_what_they_may(house: House) -> None:
    asked = TEXT | {"model": "openai/tts-1"}
    cases = [
        ({"scope": "viewer"}, 403),
        ({"scope": "viewer", "monthly_budget": 5}, 200),
        ({"scope": "viewer", "monthly_budget": 0.0000001}, 402),
        ({"scope": "operator"}, 200),
        ({"scope": "operator", "models": ["local"]}, 403),
        ({"scope": "operator", "models": ["openai/*"], "tier": "low"}, 200),
    ]
    for terms, status in cases:
        secret = await house.key(**terms)
        got, told = await house.ask("POST", SAY, secret, json=asked)
        assert got == status, (terms, told)
        if status == 403:
            assert told["error"]["code"] == "model_not_allowed"
            assert (await house.ask("POST", SAY, secret, json=TEXT))[0] == 200  # this machine
            _, models = await house.ask("GET", "/v1/models", secret)
            assert {row["owned_by"] for row in models["data"]} == {"local"}


async def tokens_are_owners(house: House) -> None:
    anna, bob = house.peer.token(), house.peer.token(sub="bob")
    viewer = house.peer.token(sub="carl", scope="x")
    assert (await house.ask("POST", SAY, anna, json=TEXT | {"model": "openai/tts-1"}))[0] == 200
    assert (await house.ask("POST", SAY, viewer, json=TEXT | {"model": "openai/tts-1"}))[0] == 403
    assert (await house.ask("POST", SAY, viewer, json=TEXT))[0] == 200
    path = "/v1/voice/config/provider"
    mine = {"provider": "openai", "key": "annas-own-key-0001"}
    assert (await house.ask("PUT", path, anna, json=mine))[0] == 200
    assert (await house.ask("PUT", path, viewer, json=mine))[0] == 403
    assert len((await house.ask("GET", path, house.peer.token(jti="2")))[1]["data"]) == 1
    assert (await house.ask("GET", path, bob))[1]["data"] == []
    assert (await house.ask("GET", "/v1/keys", anna))[0] == 403
    _, used = await house.ask("GET", "/v1/voice/usage?by=key", bob)
    assert sum(row["requests"] for row in used["data"]) == 0
    for bad in (house.peer.token(aud="else"), house.peer.token(exp=1), anna[:-4] + "AAAA"):
        assert (await house.ask("GET", "/v1/voice/models", bad))[0] == 401
