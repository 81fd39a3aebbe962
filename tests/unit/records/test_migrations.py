"""The steps of `migrations/` make exactly the tables of `tables.py`."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from telebot.call.errors import ConfigError
from telebot.records import migrate
from telebot.records.store import Store
from telebot.records.tables import metadata

pytestmark = pytest.mark.unit


@pytest.fixture
async def store(tmp_path):
    store = Store("", tmp_path)
    yield store
    await store.close()


async def asked(store, question):
    async with store.engine.begin() as connection:
        return await connection.run_sync(question)


def differences(connection):
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(connection, opts=options), metadata)


async def test_models_and_migrations_agree(store):
    await store.open()
    assert await asked(store, differences) == []


async def test_a_missing_column_would_be_seen(store):
    await store.open()
    async with store.engine.begin() as connection:
        await connection.execute(text("ALTER TABLE turns DROP COLUMN transport_ms"))
    assert [change[0] for change in await asked(store, differences)] == ["add_column"]


async def test_opening_again_changes_nothing(store):
    assert await asked(store, migrate.current) is None
    assert "telebot db upgrade" in await asked(store, migrate.check)
    await store.open()
    await store.open()
    assert await asked(store, migrate.current) == migrate.head()
    assert await asked(store, migrate.check) is None


async def test_a_file_that_is_no_database_is_named(tmp_path, store):
    (tmp_path / "telebot.db").write_bytes(b"not a database, " * 100)
    with pytest.raises(ConfigError, match=r"telebot\.db: the database cannot be used: file is not"):
        await store.open()


async def test_a_database_that_another_program_holds_is_named(tmp_path):
    holder = sqlite3.connect(tmp_path / "telebot.db")
    holder.execute("BEGIN EXCLUSIVE")
    store = Store("", tmp_path, busy_s=0.01)
    with pytest.raises(ConfigError, match=r"telebot\.db: the database cannot be used: .*locked"):
        await store.open()
    await store.close()
    holder.close()


async def test_a_database_of_a_newer_telebot_is_refused(store):
    await store.open()
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match="revision this telebot does not know"):
        await store.open()


async def test_the_file_is_private_and_in_the_modes_that_keep_promises(store, tmp_path):
    await store.open()
    assert (tmp_path / "telebot.db").stat().st_mode & 0o777 == 0o600
    async with store.reading() as connection:
        for pragma, value in (("journal_mode", "wal"), ("foreign_keys", 1), ("secure_delete", 1)):
            assert (await connection.execute(text(f"PRAGMA {pragma}"))).scalar() == value


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("not a url", "DIALECT"),
        ("nosuch+driver://host/db", "cannot be used here"),
        ("postgresql+nosuch://host/db", "cannot be used here"),
    ],
)
def test_a_bad_url_is_refused_with_what_to_write(tmp_path, url, said):
    with pytest.raises(ConfigError, match=said):
        Store(url, tmp_path)
