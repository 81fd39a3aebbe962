"""Brings a database to the tables of this version, and says where it stands.

Alembic run from inside: no ini file, no command line. `Store.open` calls `upgrade`; the command
`telebot db` calls all three. They take a synchronous connection (`AsyncConnection.run_sync`).

Alembic is imported where a step is missing alone: at nearly every start the database is at this
version, which one row of it tells. A new SQLite file gets the tables of this version at once, by
`tables.py`; a test holds that against what the steps make.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import (
    Column,
    Connection,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    inspect,
    select,
    text,
)

from telebot.call.errors import ConfigError
from telebot.records.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
VERSION = Table(  # Alembic's own, as it makes it; one row
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)
_LOCK = 0x7E1EB07  # PostgreSQL advisory lock: one server migrates at a time


def upgrade(connection: Connection) -> None:
    """Make what is missing. Raises `ConfigError` on a database of a newer telebot."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if current(connection) == head():
        return
    if connection.dialect.name != "sqlite" or not _made(connection):
        step(connection)


def _made(connection: Connection) -> bool:
    """All tables of this version are made; False where the file had some already."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # all of them or none, whatever ends the process
    if inspect(connection).get_table_names():
        connection.exec_driver_sql("ROLLBACK")
        return False
    metadata.create_all(connection)
    VERSION.create(connection)
    connection.execute(VERSION.insert().values(version_num=head()))
    return True


def step(connection: Connection) -> None:
    """Run every step that is missing. Raises `ConfigError` on a database of a newer telebot."""
    from alembic import command
    from alembic.util.exc import CommandError

    config = _config()
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise ConfigError(
            f"the database is at a revision this telebot does not know ({error}); "
            "run the telebot that wrote it, or a newer one"
        ) from None


def current(connection: Connection) -> str | None:
    """The revision the database is at; None before the first step."""
    if not inspect(connection).has_table(VERSION.name):
        return None
    return connection.execute(select(VERSION.c.version_num)).scalar()


def head() -> str:
    """The revision of this version of telebot: its last step's, which its file's name begins
    with (``r0007_…``)."""
    return max(path.stem[1:5] for path in (FOLDER / "versions").glob("r[0-9]*.py"))


def check(connection: Connection) -> str | None:
    """None where the database is up to date, else what to do about it."""
    at = current(connection)
    if at == head():
        return None
    return f"the database is at {at or 'nothing'}, this telebot wants {head()}: telebot db upgrade"


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
