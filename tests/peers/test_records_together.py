"""Several servers of one database, and several changes at once: each counts, and none twice."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import pytest

from telebot.records.archive import Archive
from telebot.records.keys import NotChanged, Scope
from telebot.records.portable import Wanted
from telebot.records.vault import Brought
from telebot.settings import RecordsSettings

pytestmark = pytest.mark.peers
ADMIN = "tb_admin-key-of-the-tests"
VAULT = "11" * 32
SERVERS = 4


@pytest.fixture(params=["sqlite", "postgresql"])
async def servers(request, tmp_path, database):
    """Those of one PostgreSQL; of a SQLite file there is one."""
    url = await database() if request.param == "postgresql" else ""
    made = [
        Archive(
            RecordsSettings(database_url=url),
            tmp_path / f"server-{number}",
            clock=time.monotonic,
            now=lambda: datetime.now(UTC),
            admin_key=ADMIN,
            vault_key=VAULT,
        )
        for number in range(SERVERS if url else 1)
    ]
    await asyncio.gather(*(each.open() for each in made))  # they start together
    yield [made[number % len(made)] for number in range(SERVERS)]
    for each in made:
        await each.close()


async def test_servers_that_start_together_have_one_first_key(servers):
    assert [key.source for key in await servers[0].keys.list()] == ["environment"]


async def test_what_is_made_by_several_at_once_is_made_once(servers):
    def put(server: Archive, number: int) -> asyncio.Future:
        return asyncio.gather(
            server.choices.change("shop", "anna", lambda _: {"speed": number}, "changed"),
            server.choices.put_flag("trial", {"percent": number}, "shop"),
            server.vault.put("shop", "openai", f"sk-{number:020}", label="mine"),
        )

    await asyncio.gather(*(put(server, at) for at, server in enumerate(servers)))
    one = servers[0]
    assert [key.label for key in await one.vault.held("shop")] == ["mine"]
    assert [user.name for user in await one.choices.users("shop", 10)] == ["anna"]
    assert set(await one.choices.flags()) == {"trial"}
    told = [line["action"] for line in await one.vault.audited(100)]
    assert sorted(set(told)) == ["changed", "flag_stored", "provider_key_stored"]
    assert len(told) == 3 * SERVERS


async def test_imports_at_once_put_everything_once(servers):
    key = Brought("shop", "openai", "mine", 0, False, (), "sk-0123456789abcdef")
    wanted = Wanted({("shop", "anna"): {"speed": 1.5}}, {"trial": {}}, None, [key], False)
    changes = await asyncio.gather(*(each.portable.put(wanted, "admin") for each in servers))
    assert sorted(len(each) for each in changes) == [0] * (SERVERS - 1) + [3]
    assert len(await servers[0].vault.held("shop")) == 1


async def test_the_last_admin_stays_whoever_revokes(servers):
    (first,) = await servers[0].keys.list()
    made, _ = await servers[0].keys.create("other", Scope.ADMIN)
    done = await asyncio.gather(
        *(
            server.keys.revoke(key_id, keep_an_admin=True)
            for server, key_id in zip(servers, (first.id, made.id), strict=False)
        ),
        return_exceptions=True,
    )
    assert {type(each) for each in done} == {bool, NotChanged}
    assert sum(key.live(datetime.now(UTC)) for key in await servers[0].keys.list()) == 1
