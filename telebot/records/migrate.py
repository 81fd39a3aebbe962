"""Brings a database to the tables of this version, and says where it stands.

Alembic run from inside: no ini file, no command line. `Store.open` calls `upgrade`; the command
`telebot db` calls all three. They take a synchronous connection (`AsyncConnection.run_sync`).
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, text

from telebot.call.errors import ConfigError

_LOCK = 0x7E1EB07  # PostgreSQL advisory lock: one server migrates at a time


def upgrade(connection: Connection) -> None:
    """Run every step that is missing. Raises `ConfigError` on a database of a newer telebot."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    if current(connection) == head():
        return
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
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision of this version of telebot."""
    return str(ScriptDirectory.from_config(_config()).get_current_head())


def check(connection: Connection) -> str | None:
    """None where the database is up to date, else what to do about it."""
    at = current(connection)
    if at == head():
        return None
    return f"the database is at {at or 'nothing'}, this telebot wants {head()}: telebot db upgrade"


def _config() -> Config:
    config = Config()
    folder = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
