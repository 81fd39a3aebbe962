"""A database that fails in every way in which PostgreSQL fails: nothing of a call is lost, and who
asks is told in time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest
from records_server import ADMIN, RecordsServer, records_server
from tcp_proxy import Proxy

from telebot.call.errors import ConfigError
from telebot.records import store as store_module
from telebot.records.store import Store

pytestmark = pytest.mark.peers
START = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
KEY = {"Authorization": f"Bearer {ADMIN}"}


@pytest.fixture
async def proxied(database):
    """A database behind a proxy: its URL, the proxy, and the URL that goes past it."""
    url = await database()
    parts = urlsplit(url)
    proxy = await Proxy(parts.port).open()
    yield url.replace(f":{parts.port}/", f":{proxy.port}/"), proxy, url
    await proxy.close()


async def get(http, server: RecordsServer, path: str) -> tuple[int, dict]:
    async with http.get(server.url + path, headers=KEY) as response:
        return response.status, await response.json()


async def until(done, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def until_listed(http, server: RecordsServer, *ids: str) -> None:
    async with asyncio.timeout(60):
        while True:
            status, page = await get(http, server, "/v1/calls")
            if status == 200 and {row["id"] for row in page["data"]} >= {*ids}:
                return
            await asyncio.sleep(0.05)


async def said(url: str, *statements: str) -> None:
    """By another connection."""
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


def one_call(server: RecordsServer, name: str) -> None:
    call = server.open_call(name, START)
    server.talk(call, [(None, "Good evening.", "Good evening.")])
    server.end_call(call)


# it starts up; it has another password
@pytest.mark.parametrize("state", ["57P03", "28P01"])
async def test_a_database_that_takes_nobody_loses_nothing(http, tmp_path, proxied, state):
    url, proxy, _ = proxied
    async with records_server(tmp_path, url) as server:
        one_call(server, "before")
        await until_listed(http, server, "before")
        proxy.refuse(state)
        one_call(server, "meanwhile")
        await until(lambda: server.archive.log.failures > 1)
        status, told = await get(http, server, "/v1/calls")
        assert (status, told["error"]["code"]) == (503, "records_away")
        proxy.go_on()
        await until_listed(http, server, "before", "meanwhile")
        assert server.archive.log.lost_rows == 0


FULL = """CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$"""
SLOW = """CREATE FUNCTION cancelled() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'canceling statement' USING ERRCODE = '57014'; END $$"""


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        (
            (FULL, "CREATE TRIGGER t BEFORE INSERT ON calls EXECUTE FUNCTION full_disk()"),
            ("DROP TRIGGER t ON calls",),
        ),
        (
            (SLOW, "CREATE TRIGGER t BEFORE INSERT ON calls EXECUTE FUNCTION cancelled()"),
            ("DROP TRIGGER t ON calls",),
        ),
        (
            ("ALTER DATABASE {} SET default_transaction_read_only = on", "<cut>"),
            ("SET default_transaction_read_only = off",
             "ALTER DATABASE {} SET default_transaction_read_only = off", "<cut>"),
        ),
    ],
    ids=["a full disk", "statements that are cancelled", "a stand-by that may not write"],
)  # fmt: skip
async def test_a_database_that_writes_nothing_loses_nothing(http, tmp_path, proxied, breaks, mends):
    url, _, past = proxied
    name = past.rpartition("/")[2]
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        f"WHERE datname = '{name}' AND pid <> pg_backend_pid()"
    )
    async with records_server(tmp_path, url) as server:
        await said(past, *(each.replace("<cut>", cut).format(name) for each in breaks))
        one_call(server, "meanwhile")
        await until(lambda: server.archive.log.failures > 1)
        assert (await get(http, server, "/v1/calls"))[0] == 200
        await said(past, *(each.replace("<cut>", cut).format(name) for each in mends))
        await until_listed(http, server, "meanwhile")
        assert server.archive.log.lost_rows == 0


async def test_a_database_that_stalls_is_waited_for_no_longer_than_it_is_worth(
    http, tmp_path, proxied, monkeypatch
):
    monkeypatch.setattr(store_module, "QUICK_S", 0.5)
    monkeypatch.setattr(store_module, "LONGEST_S", 1.5)
    url, proxy, _ = proxied
    async with records_server(tmp_path, url) as server:
        one_call(server, "before")
        await until_listed(http, server, "before")
        proxy.stall()
        server.archive.keys.forget()
        one_call(server, "meanwhile")
        async with asyncio.timeout(30):
            told = await asyncio.gather(*(get(http, server, "/v1/calls") for _ in range(40)))
        assert {(status, one["error"]["code"]) for status, one in told} == {(503, "records_away")}
        await until(lambda: server.archive.log.failures > 1)
        proxy.go_on()
        await until_listed(http, server, "before", "meanwhile")
        assert server.archive.log.lost_rows == 0


async def test_a_server_stops_while_its_database_stalls(http, tmp_path, proxied, monkeypatch):
    monkeypatch.setattr(store_module, "QUICK_S", 0.5)
    monkeypatch.setattr(store_module, "LONGEST_S", 1.5)
    url, proxy, past = proxied
    async with asyncio.timeout(60):
        async with records_server(tmp_path, url) as server:
            one_call(server, "before")
            await until_listed(http, server, "before")
            proxy.stall()
            one_call(server, "meanwhile")
    async with records_server(tmp_path, past) as server:  # it has them on the disk
        await until_listed(http, server, "before", "meanwhile")


@pytest.mark.parametrize("state", ["57P03", "28P01"])
async def test_a_database_that_takes_nobody_at_the_start_is_named(tmp_path, proxied, state):
    url, proxy, _ = proxied
    proxy.refuse(state)
    store = Store(url, tmp_path)
    with pytest.raises(ConfigError, match=r"the database cannot be used: .*not now"):
        await store.open()
    await store.close()


async def test_a_database_that_stalls_at_the_start_is_named(tmp_path, proxied, monkeypatch):
    monkeypatch.setattr(store_module, "CONNECT_S", 0.5)
    url, proxy, _ = proxied
    proxy.stall()
    store = Store(url, tmp_path)
    async with asyncio.timeout(30):
        with pytest.raises(ConfigError, match="the database cannot be used"):
            await store.open()
        await store.close()
