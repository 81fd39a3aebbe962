"""The steps of `migrations/` make exactly the tables of `tables.py`, and so does a new file."""

from __future__ import annotations

import sqlite3

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
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


def tables_of(connection):
    """All that SQLite knows of its tables, in no order of columns."""
    names = connection.exec_driver_sql(
        "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    ).scalars()
    return {name: sorted(map(repr, _table(connection, name))) for name in names}


def _table(connection, name):
    def rows(pragma, of):
        return connection.exec_driver_sql(f"PRAGMA {pragma}('{of}')").all()

    yield from (tuple(column)[1:] for column in rows("table_xinfo", name))  # [0]: its place
    yield from (tuple(key)[2:] for key in rows("foreign_key_list", name))
    for _, index, *about in rows("index_list", name):
        named = "" if index.startswith("sqlite_autoindex") else index
        yield named, about, [column[2] for column in rows("index_info", index)]


async def by_steps(store, tmp_path):
    tmp_path.joinpath("telebot.db").touch()
    await asked(store, migrate.step)


async def test_models_and_migrations_agree(store, tmp_path):
    await by_steps(store, tmp_path)
    assert await asked(store, differences) == []
    assert await asked(store, migrate.current) == migrate.head()


async def test_a_new_file_is_what_the_steps_would_have_made_of_it(store, tmp_path):
    await by_steps(store, tmp_path)
    new = Store("", tmp_path / "new")
    await new.open()
    try:
        made = await asked(new, tables_of)
        assert made == await asked(store, tables_of)
        assert len(made) > 10
        assert await asked(new, migrate.current) == migrate.head()
    finally:
        await new.close()


def test_the_last_step_is_the_one_alembic_knows():
    assert migrate.head() == ScriptDirectory.from_config(migrate._config()).get_current_head()


async def test_a_file_with_tables_and_no_revision_is_not_made_anew(store, tmp_path):
    with sqlite3.connect(tmp_path / "telebot.db") as other:
        other.execute("CREATE TABLE ours (id INTEGER)")
    other.close()
    await store.open()
    assert "ours" in await asked(store, tables_of)
    assert await asked(store, migrate.current) == migrate.head()


async def test_a_file_whose_making_is_cut_off_is_made_at_the_next_start(store, monkeypatch):
    monkeypatch.setattr(migrate.VERSION, "create", _cut_off)
    with pytest.raises(RuntimeError, match="cut off"):
        await store.open()
    monkeypatch.undo()
    assert await asked(store, tables_of) == {}
    await store.open()
    assert await asked(store, migrate.current) == migrate.head()


def _cut_off(_):
    raise RuntimeError("cut off")


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
