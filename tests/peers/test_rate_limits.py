"""Limits by key and by address, in one process and over a real Redis; budgets of keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web
from edge_server import OneKey
from records_server import records_server
from redis_server import redis_server
from tcp_proxy import Proxy

from telebot.records.keys import ApiKey, Scope
from telebot.voice_settings import LimitSettings
from telebot.web import rate_limits
from telebot.web.auth import Gate
from telebot.web.errors import errors
from telebot.web.rate_limits import RateLimits

pytestmark = pytest.mark.peers

GOOD = {"Authorization": "Bearer good"}


class Limited(OneKey):
    """One key, with a limit of its own where it says so."""

    own: int | None = None

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        key = await super().check(secret, wanted)
        now = datetime.now(UTC)
        return ApiKey(key.id, key.name, key.scope, key.source, now, None, None, self.own)


@asynccontextmanager
async def limited(
    redis_url: str = "",
    own: int | None = None,
    peer: Callable[[web.Request], str] = lambda request: request.remote or "",
    **settings: Any,
):
    limits = RateLimits(LimitSettings(**settings), redis_url, peer)
    keys = Limited("good")
    keys.own = own
    app = web.Application(
        middlewares=[errors, limits.before_keys, Gate(keys).middleware, limits.after_keys]
    )
    app.on_response_prepare.append(limits.tell)

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="done")

    app.router.add_get("/v1/voice/models", answer)
    app.router.add_get("/v1/calls", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
        await limits.close()


async def get(http, url: str, headers: dict[str, str] = GOOD) -> aiohttp.ClientResponse:
    async with http.get(url, headers=headers) as answer:
        await answer.read()
        return answer


@pytest.fixture(scope="module")
def redis_url():
    with redis_server() as url:
        yield url


@pytest.fixture(params=["here", "redis"])
def counted(request):
    return "" if request.param == "here" else request.getfixturevalue("redis_url")


async def test_a_key_is_told_what_is_left_and_when_to_come_again(http, counted):
    async with limited(counted, requests_per_minute=3) as url:
        left = []
        for _ in range(3):
            answer = await get(http, f"{url}/v1/voice/models")
            assert answer.status == 200
            left.append(answer.headers["x-ratelimit-remaining-requests"])
        assert left == ["2", "1", "0"]
        answer = await get(http, f"{url}/v1/voice/models")
        assert answer.status == 429
        assert 0 < int(answer.headers["Retry-After"]) <= 60
        assert answer.headers["x-ratelimit-limit-requests"] == "3"
        assert (await get(http, f"{url}/v1/calls")).status == 200  # no voice work


async def test_a_keys_own_limit_goes_before_the_settings(http):
    async with limited(own=1, requests_per_minute=100) as url:
        assert (await get(http, f"{url}/v1/voice/models")).status == 200
        assert (await get(http, f"{url}/v1/voice/models")).status == 429


async def test_two_servers_count_together(http, redis_url):
    async with (
        limited(redis_url, requests_per_minute=7) as one,
        limited(redis_url, requests_per_minute=7) as other,
    ):
        first = await get(http, f"{one}/v1/voice/models")
        second = await get(http, f"{other}/v1/voice/models")
        left = [int(each.headers["x-ratelimit-remaining-requests"]) for each in (first, second)]
        assert left[1] == left[0] - 1


async def test_guessers_are_not_heard_any_more(http, counted):
    async with limited(counted, failures_per_minute=3) as url:
        wrong = {"Authorization": "Bearer wrong"}
        statuses = [(await get(http, f"{url}/v1/calls", wrong)).status for _ in range(5)]
        assert statuses == [401, 401, 401, 429, 429]


async def test_a_redis_that_is_away_stops_nothing(http):
    async with limited("redis://127.0.0.1:1/0", requests_per_minute=1) as url:
        for _ in range(3):
            assert (await get(http, f"{url}/v1/voice/models")).status == 200


async def test_a_redis_that_stalls_holds_nobody_up(http, redis_url, monkeypatch):
    monkeypatch.setattr(rate_limits, "REDIS_S", 0.5)
    proxy = await Proxy(urlsplit(redis_url).port).open()
    try:
        async with limited(f"redis://127.0.0.1:{proxy.port}/0", requests_per_minute=4) as url:
            answer = await get(http, f"{url}/v1/voice/models")
            assert answer.headers["x-ratelimit-remaining-requests"] == "3"
            proxy.stall()
            async with asyncio.timeout(30):
                first = await get(http, f"{url}/v1/voice/models")
            loop = asyncio.get_running_loop()
            asked = loop.time()
            rest = [await get(http, f"{url}/v1/voice/models") for _ in range(50)]
            # one question of all of them may have waited for the Redis again
            assert loop.time() - asked < 50 * rate_limits.REDIS_S / 2
            assert {each.status for each in (first, *rest)} == {200}
            proxy.go_on()
            async with asyncio.timeout(30):  # what is left is known again
                while "x-ratelimit-limit-requests" not in answer.headers or answer in rest:
                    answer = await get(http, f"{url}/v1/voice/models")
    finally:
        await proxy.close()


async def test_a_redis_that_comes_back_empty_counts_on(http):
    with redis_server() as url:
        port = urlsplit(url).port
        async with limited(url, requests_per_minute=2) as served:
            assert (await get(http, f"{served}/v1/voice/models")).status == 200
            writer = (await asyncio.open_connection("127.0.0.1", port))[1]
            writer.write(b"FLUSHALL\r\nSCRIPT FLUSH\r\nCLIENT KILL TYPE normal SKIPME yes\r\n")
            await writer.drain()
            await asyncio.sleep(0.2)
            statuses = [(await get(http, f"{served}/v1/voice/models")).status for _ in range(3)]
            writer.close()
    assert statuses == [200, 200, 429]


async def test_a_key_gets_a_new_secret_and_stays_what_it_is(tmp_path):
    async with records_server(tmp_path) as records:
        keys = records.archive.keys
        key, secret = await keys.create("p", Scope.OPERATOR, requests_per_minute=5)
        renewed = await keys.rotate(key.id)
        assert renewed not in (None, secret)
        again = await keys.check(renewed, Scope.OPERATOR)
        assert (again.id, again.requests_per_minute) == (key.id, 5)
        with pytest.raises(Exception, match="unknown key"):
            await keys.check(secret, Scope.VIEWER)
        assert await keys.rotate("nobody") is None


async def test_a_network_of_one_host_is_one_guesser(http):
    """Who has an IPv6 address has 2^64 of them."""
    addresses = iter(["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "192.0.2.1"])
    async with limited(failures_per_minute=2, peer=lambda request: next(addresses)) as url:
        bad = {"Authorization": "Bearer bad"}
        answers = [await get(http, f"{url}/v1/voice/models", bad) for _ in range(5)]
        assert [answer.status for answer in answers] == [401, 401, 429, 401, 401]


async def test_an_endpoint_with_a_limit_of_its_own(http, counted):
    limits = {"/v1/voice/models": 2, "GET /v1/calls": 1}
    async with limited(counted, requests_per_minute=50, endpoints=limits) as url:
        key = {"Authorization": "Bearer good"}
        answers = [await get(http, f"{url}/v1/voice/models", key) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert [answer.headers["x-ratelimit-limit-requests"] for answer in answers] == 3 * ["2"]
        assert answers[0].headers["x-ratelimit-remaining-requests"] == "1"
        assert 0 < int(answers[2].headers["Retry-After"]) <= 60
        statuses = [(await get(http, f"{url}/v1/calls", key)).status for _ in range(2)]
        assert statuses == [200, 429]
        assert (await get(http, f"{url}/v1/nothing", key)).status == 404


async def test_two_servers_count_an_endpoint_together(http, redis_url):
    limits = {"/v1/voice/models": 3}
    async with (
        limited(redis_url, own=1000, endpoints=limits) as one,
        limited(redis_url, own=1000, endpoints=limits) as other,
    ):
        answers = [await get(http, f"{url}/v1/voice/models") for url in (one, other, one, other)]
        assert [answer.status for answer in answers][-1] == 429


async def test_an_address_has_a_limit_whatever_its_keys(http, redis_url):
    """And servers count it together, as they count guessers."""
    asked = {"address_requests_per_minute": 2, "failures_per_minute": 1}
    here: list[str] = ["198.51.100.7"]

    def peer(_: web.Request) -> str:
        return here[0]

    async with (
        limited(redis_url, peer=peer, **asked) as one,
        limited(redis_url, peer=peer, **asked) as other,
    ):
        assert (await get(http, f"{one}/v1/voice/models")).status == 200
        answer = await get(http, f"{other}/v1/voice/models")
        assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "0")
        async with http.get(f"{one}/v1/voice/models", headers=GOOD) as full:
            told = await full.json()
        assert (full.status, told["error"]["code"]) == (429, "rate_limit_exceeded")
        assert "address" in told["error"]["message"]
        assert (await get(http, f"{one}/v1/calls")).status == 200, "no voice work"
        here[0] = "198.51.100.8"
        assert (await get(http, f"{one}/v1/voice/models")).status == 200
        assert (await get(http, f"{one}/v1/voice/models", {})).status == 401
        assert (await get(http, f"{other}/v1/voice/models", {})).status == 429


@pytest.mark.parametrize(
    "wrong", [{"/v2/x": 1}, {"TRACE /v1/calls": 1}, {"/v1/calls": 0}, {"v1/calls": 1}]
)
def test_limits_of_no_endpoint_are_refused(wrong):
    with pytest.raises(ValueError):
        LimitSettings(endpoints=wrong)
