"""`/v1/keys` over HTTP: made, changed, rotated and revoked by admins, and by nobody else."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from records_server import ADMIN, RecordsServer, records_server

from telebot.records.keys import Scope
from telebot.records.store import Store
from telebot.records.vault import Vault

pytestmark = pytest.mark.peers

PATH = "/v1/keys"


@dataclass
class Line:
    """Asks the server with an admin's key, or another one."""

    server: RecordsServer
    http: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str = "", json: Any = None, secret: str = ADMIN
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {secret}"}
        url = f"{self.server.url}{PATH}{path}"
        async with self.http.request(method, url, json=json, headers=headers) as answer:
            return answer.status, await answer.json() if answer.status != 204 else None

    async def opens(self, secret: str) -> int:
        headers = {"Authorization": f"Bearer {secret}"}
        async with self.http.get(f"{self.server.url}/v1/calls", headers=headers) as answer:
            return answer.status


@pytest.fixture
async def line(tmp_path, http):
    async with records_server(tmp_path) as server:
        yield Line(server, http)


async def test_the_life_of_a_key(line):
    until = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    asked = {"name": "program", "scope": "operator", "tier": "high", "models": ["deepgram/*"],
             "requests_per_minute": 60, "monthly_budget": 20, "expires_at": until}  # fmt: skip
    status, made = await line.ask("POST", json=asked)
    assert status == 201
    assert {name: made[name] for name in asked if name != "expires_at"} == {
        name: value for name, value in asked.items() if name != "expires_at"
    }
    secret, one = made.pop("secret"), f"/{made['id']}"
    assert await line.opens(secret) == 200
    status, found = await line.ask("GET", one)
    assert (status, found["state"], "secret" in found) == (200, "live", False)
    status, changed = await line.ask("PATCH", one, {"models": [], "expires_at": None})
    assert (changed["models"], changed["expires_at"], changed["tier"]) == ([], None, "high")
    status, rotated = await line.ask("POST", f"{one}/rotate", {"grace_s": 3600})
    assert rotated["old_secret_until"] is not None
    assert [await line.opens(each) for each in (secret, rotated["secret"])] == [200, 200]
    status, again = await line.ask("POST", f"{one}/rotate", {})
    assert again["old_secret_until"] is None
    old = (secret, rotated["secret"])
    assert [await line.opens(each) for each in (*old, again["secret"])] == [401, 401, 200]
    assert (await line.ask("DELETE", one))[0] == 204
    assert await line.opens(again["secret"]) == 401
    assert (await line.ask("GET", one))[1]["state"] == "revoked"
    assert (await line.ask("DELETE", one))[0] == 404
    assert (await line.ask("PATCH", one, {"tier": "low"}))[0] == 404
    _, listed = await line.ask("GET")
    assert [row["name"] for row in listed["data"]] == ["TELEBOT_ADMIN_KEY", "program"]
    assert "tb_" not in str(listed)


async def test_admins_alone_and_never_without_one(line):
    _, operator = await line.ask("POST", json={"name": "o", "scope": "operator"})
    for method, path in (("GET", ""), ("POST", ""), ("DELETE", f"/{operator['id']}")):
        status, _ = await line.ask(method, path, {"name": "x"}, operator["secret"])
        assert status == 403, method
    _, listed = await line.ask("GET")
    admin = listed["data"][0]["id"]
    status, told = await line.ask("DELETE", f"/{admin}")
    assert (status, "last key" in told["error"]["message"]) == (409, True)
    status, told = await line.ask("POST", f"/{admin}/rotate", {})
    assert (status, "TELEBOT_ADMIN_KEY" in told["error"]["message"]) == (409, True)
    status, _ = await line.ask("POST", json={"name": "b", "scope": "admin"})
    assert (await line.ask("DELETE", f"/{admin}"))[0] == 204


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"name": ""},
        {"name": "a\nb"},
        {"name": "a", "scope": "root"},
        {"name": "a", "tier": "first"},
        {"name": "a", "models": ["a,b"]},
        {"name": "a", "models": ["a b"]},
        {"name": "a", "models": ["x"] * 101},
        {"name": "a", "monthly_budget": 0},
        {"name": "a", "monthly_budget": -1},
        {"name": "a", "requests_per_minute": 0},
        {"name": "a", "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "a", "secret": "tb_mine"},
    ],
)
async def test_what_is_no_key_is_refused(line, asked):
    assert (await line.ask("POST", json=asked))[0] == 400
    assert len((await line.ask("GET"))[1]["data"]) == 1


async def test_an_expired_key_is_told_so(line):
    key, secret = await line.server.archive.keys.create("late", Scope.VIEWER)
    past = datetime.now(UTC) - timedelta(seconds=1)
    await line.server.archive.keys.change(key.id, {"expires_at": past})
    status, told = await line.ask("GET", secret=secret)
    assert (status, told["error"]["code"]) == (401, "key_expired")
    assert (await line.ask("GET", f"/{key.id}"))[1]["state"] == "expired"


async def test_who_changed_what_is_written_down(line, tmp_path):
    _, made = await line.ask("POST", json={"name": "program"})
    store = Store("", tmp_path)
    (row,) = await Vault(store, [b"k" * 32], lambda: datetime.now(UTC)).audited(10)
    await store.close()
    _, listed = await line.ask("GET")
    assert (row["action"], row["key_id"]) == ("key_created", listed["data"][0]["id"])
    assert row["fields"]["id"] == made["id"]
    assert made["secret"] not in str(row)
