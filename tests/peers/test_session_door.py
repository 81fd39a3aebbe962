"""Who may open a realtime session, and how many at once, on a real socket."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from telebot.call.errors import ApiError
from telebot.call.tokens import StreamTokens
from telebot.records.keys import ApiKey, NoKey, Scope
from telebot.voice.promises import Promises
from telebot.voice.sessions import SessionRequest
from telebot.voice_settings import VoiceSettings
from telebot.web.auth import Gate
from telebot.web.errors import errors
from telebot.web.origins import Origins
from telebot.web.realtime import door
from telebot.web.realtime.door import Door, Pass, TurnedAway

pytestmark = pytest.mark.peers

PATH = "/v1/voice/realtime"


def key(name: str, scope: Scope = Scope.OPERATOR) -> ApiKey:
    return ApiKey(name, name, scope, "created", datetime.now(UTC), None, None)


class Keys:
    """Everybody's secret is their name."""

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        if not secret:
            raise NoKey("no key")
        return key(secret, Scope.VIEWER if secret == "viewer" else Scope.OPERATOR)


@dataclass
class Entrance:
    """A door that is asked by `GET`; whoever is inside stays there until `out`."""

    url: str = ""
    door: Door = field(init=False)
    promises: Promises = field(init=False)
    inside: list[Pass] = field(default_factory=list)
    revoked: set[str] = field(default_factory=set)

    async def asked(self, bearer: str = "", **headers: str) -> tuple[int, str]:
        """Close code and code; 0 where it is open."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if bearer:
            sent["Authorization"] = f"Bearer {bearer}"
        async with aiohttp.ClientSession() as http, http.get(self.url, headers=sent) as answer:
            told = await answer.json()
            return told["close"], told["code"]

    async def handle(self, request: web.Request) -> web.Response:
        try:
            self.inside.append(await self.door.enter(request))
        except TurnedAway as away:
            return web.json_response({"close": away.close_code, "code": away.code})
        return web.json_response({"close": 0, "code": ""})


@pytest.fixture
async def entrance() -> AsyncIterator[Entrance]:
    one = Entrance()
    names = itertools.count()

    def new_id() -> str:
        return f"name{next(names)}"

    async def pays(asking: ApiKey) -> None:
        if asking.id == "poor":
            raise ApiError(402, "budget_used_up", "Nothing is left.")

    async def known(asking: ApiKey) -> ApiKey | None:
        return None if asking.id in one.revoked else asking

    tokens = StreamTokens("a-key-of-at-least-thirty-two-bytes!", 60.0, lambda: datetime.now(UTC))
    one.promises = Promises(tokens, time.monotonic, new_id)
    origins = Origins(["https://app.example"], lambda r: f"{r.scheme}://{r.host}")
    settings = VoiceSettings(sessions=3, sessions_per_key=2)
    one.door = Door(one.promises, origins, settings, pays=pays, known=known, new_id=new_id)
    gate = Gate(Keys(), frozenset({PATH}))
    app = web.Application(middlewares=[errors, gate.middleware])
    app.router.add_get(PATH, one.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    yield one
    await runner.cleanup()


async def test_who_may_not(entrance: Entrance) -> None:
    assert await entrance.asked() == (4401, "no_key")
    assert await entrance.asked("viewer") == (4403, "wrong_scope")
    assert await entrance.asked("poor") == (4402, "budget_used_up")
    assert await entrance.asked("one", Origin="https://evil.example") == (4403, "wrong_origin")
    protocols = "telebot.realtime, telebot.token.forged"
    asked = await entrance.asked("one", Sec_WebSocket_Protocol=protocols)
    assert asked == (4401, "bad_token"), "a key beside it does not mend it"
    assert entrance.inside == []
    assert entrance.door.inside == 0


async def test_a_token_brings_its_owner_and_its_session(entrance: Entrance) -> None:
    wanted = SessionRequest(agent="desk", origin="https://app.example")
    promised, token = entrance.promises.make(key("one"), wanted)
    headers = {
        "Origin": "https://app.example",
        "Sec_WebSocket_Protocol": f"telebot.realtime, telebot.token.{token}",
    }
    assert await entrance.asked(**headers) == (0, "")
    [inside] = entrance.inside
    assert (inside.id, inside.key.id, inside.request) == (promised.id, "one", wanted)
    assert await entrance.asked(**headers) == (4401, "bad_token")
    _, token = entrance.promises.make(key("poor"), SessionRequest())
    protocols = f"telebot.token.{token}"
    assert await entrance.asked(Sec_WebSocket_Protocol=protocols) == (4402, "budget_used_up")
    entrance.revoked.add("one")
    _, token = entrance.promises.make(key("one"), SessionRequest())
    protocols = f"telebot.token.{token}"
    assert await entrance.asked(Sec_WebSocket_Protocol=protocols) == (4401, "key_gone")


async def test_so_many_of_one_key_and_so_many_in_all(
    entrance: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        assert await entrance.asked("one", Origin="https://app.example") == (0, "")
    assert await entrance.asked("one") == (4429, "too_many_sessions")
    assert await entrance.asked("two") == (0, "")
    assert await entrance.asked("three") == (4429, "too_many_sessions")
    entrance.door.out(entrance.inside.pop(0))
    assert await entrance.asked("three") == (0, "")
    # one that has ended is put away a moment later: the next waits for that
    monkeypatch.setattr(door, "LEAVING_S", 60.0)
    next_one = asyncio.create_task(entrance.asked("four"))
    await asyncio.sleep(0.05)
    entrance.door.out(entrance.inside.pop(0))
    assert await next_one == (0, "")
    for inside in entrance.inside:
        entrance.door.out(inside)
    assert entrance.door.inside == 0
