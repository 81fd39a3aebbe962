"""Providers' keys at rest: sealed, bound to their owner, masked, moved to a new key while used."""

from __future__ import annotations

import asyncio
import base64
import os
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from telebot.call.errors import ConfigError, Local
from telebot.records.store import Store
from telebot.records.tables import provider_keys
from telebot.records.vault import MOST_KEYS, SealedElsewhere, Vault, vault_keys

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
OLD, NEW = os.urandom(32), os.urandom(32)
SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture
async def store(tmp_path):
    made = Store("", tmp_path)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def vault(store):
    return Vault(store, [OLD], lambda: NOW)


async def test_a_key_goes_in_and_only_its_owner_gets_it_out(vault, store, tmp_path):
    key = await vault.put("anna", "deepgram", SECRET, allowed_models=["nova-3"])
    assert (key.masked, key.allowed_models) == ("…cdef", ("nova-3",))
    assert [each.secret for each in await vault.open("anna")] == [SECRET]
    assert await vault.open("ben") == []
    assert await vault.held("ben") == []
    assert SECRET not in repr(await vault.open("anna"))
    assert not any(SECRET.encode() in path.read_bytes() for path in tmp_path.glob("telebot.db*"))


async def test_the_same_label_is_replaced_another_one_is_a_second_key(vault):
    first = await vault.put("anna", "openai", "first-secret-of-anna")
    second = await vault.put("anna", "openai", "second-secret-of-anna")
    third = await vault.put("anna", "openai", "third-secret-of-anna", label="b", position=-1)
    assert [each.secret for each in await vault.open("anna")] == [
        "third-secret-of-anna",
        "second-secret-of-anna",
    ]
    assert await vault.delete("ben", third.id) is False
    assert await vault.delete("anna", third.id) is True
    assert await vault.delete("anna", first.id) is False
    assert [key.id for key in await vault.held("anna")] == [second.id]


async def test_a_row_under_another_owner_does_not_open(vault, store):
    key = await vault.put("anna", "openai", SECRET)
    async with store.writing() as connection:
        mine = provider_keys.c.id == key.id
        await connection.execute(update(provider_keys).where(mine).values(owner="ben"))
    with pytest.raises(SealedElsewhere):
        await vault.open("ben")


@pytest.mark.parametrize("sealed", ["", "AAAA", "not base64"])
async def test_a_damaged_row_does_not_open(vault, store, sealed):
    await vault.put("anna", "openai", SECRET)
    async with store.writing() as connection:
        await connection.execute(update(provider_keys).values(sealed=sealed))
    with pytest.raises(SealedElsewhere):
        await Vault(store, [OLD], lambda: NOW).open("anna")


async def test_the_vaults_key_is_changed_without_a_stop(vault, store):
    await vault.put("anna", "openai", SECRET)
    both = Vault(store, [NEW, OLD], lambda: NOW)
    assert (await both.open("anna"))[0].secret == SECRET
    await both.put("ben", "openai", SECRET)
    assert await both.reseal() == 1
    assert await both.reseal() == 0
    alone = Vault(store, [NEW], lambda: NOW)
    assert (await alone.open("anna"))[0].secret == SECRET
    with pytest.raises(SealedElsewhere, match="TELEBOT_VAULT_KEY"):
        await Vault(store, [OLD], lambda: NOW).open("anna")


async def test_the_same_secret_is_never_sealed_alike(vault, store):
    for label in ("a", "b"):
        await vault.put("anna", "openai", SECRET, label=label)
    async with store.reading() as connection:
        rows = (await connection.execute(select(provider_keys.c.sealed))).all()
    assert len({row.sealed for row in rows}) == 2


async def test_nobody_fills_the_vault(vault):
    for number in range(MOST_KEYS):
        await vault.put("anna", "openai", SECRET, label=str(number))
    with pytest.raises(Local):
        await vault.put("anna", "openai", SECRET, label="one more")


async def test_changes_are_written_down_without_secrets(vault):
    key = await vault.put("anna", "openai", SECRET)
    await vault.delete("anna", key.id)
    rows = await vault.audited(10)
    assert {row["action"] for row in rows} == {"provider_key_stored", "provider_key_deleted"}
    assert SECRET not in str(rows)


def test_the_vaults_key_as_it_may_be_written():
    plain, urlsafe = base64.b64encode(OLD).decode(), base64.urlsafe_b64encode(OLD).decode()
    written = f"{plain}, {urlsafe.rstrip('=')},{OLD.hex()}"
    assert vault_keys(written) == [OLD, OLD, OLD]


@pytest.mark.parametrize("text", ["", ",", "short", "x" * 64, "A" * 42])
def test_a_vault_key_that_is_none_is_refused(text):
    with pytest.raises(ConfigError, match="TELEBOT_VAULT_KEY"):
        vault_keys(text)


async def test_what_is_read_while_a_key_is_deleted_is_not_kept(store):
    vault = Vault(store, [OLD], lambda: NOW, lambda: 0.0)
    key = await vault.put("anna", "openai", SECRET)
    reading = asyncio.create_task(vault.open("anna"))
    await vault.delete("anna", key.id)
    await reading
    assert await vault.open("anna") == []
