"""The database of the records: one owner that opens, migrates and closes it.

SQLite in the data folder unless a URL says otherwise; PostgreSQL is tested too. Rows go in by
`writer.py` and out by `reading.py`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from telebot.call.errors import ConfigError, Remote
from telebot.records import migrate

SQLITE_BUSY_S = 5.0
POOL_WAIT_S = 10.0
CONNECT_S = 10.0  # at the start
QUICK_S = 5.0  # what every request asks, connecting included; of a server that may stall
LONGEST_S = 60.0  # anything else: reports of a year, an import
# Classes of SQLSTATE that tell of the database and not of what it was asked: connections, a
# transaction's state (a stand-by only reads), who may come in, no such database, deadlocks, no disk
# or memory or place, shut down or starting up, input and output.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
AWAY = frozenset({"08", "25", "28", "3D", "40", "53", "55", "57", "58", "F0", "XX"})
CHANGE_LOCK = 0x7E1EB08  # PostgreSQL advisory lock; the migration has the one before it
DENIED = "42501"  # a privilege that the operator has not given yet


class RecordsAway(Remote):
    """The database is locked or cannot be reached; the same may work later."""


@asynccontextmanager
async def _away(within_s: float | None) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(within_s):
            yield
    except (OperationalError, PoolTimeout, OSError, TimeoutError) as error:
        raise RecordsAway(type(error).__name__) from error
    except DBAPIError as error:
        if error.connection_invalidated or _is_away(error.orig):
            raise RecordsAway(type(error).__name__) from error
        raise


def _is_away(error: BaseException | None) -> bool:
    state = str(getattr(error, "sqlstate", None) or "")
    return state[:2] in AWAY or state == DENIED


class Store:
    """One database. `engine` is there between `open` and `close`."""

    def __init__(self, url: str, data: Path, *, busy_s: float = SQLITE_BUSY_S) -> None:
        """`url` is a SQLAlchemy URL, empty for ``data/telebot.db``; `busy_s` is how long another
        writer of a SQLite file is waited for. Raises `ConfigError`."""
        self.url = _url(url, data)
        self.engine: AsyncEngine = _connectable(self.url, busy_s)
        self._one_change = asyncio.Lock()

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for a server or an in-memory database."""
        name = self.url.database
        return Path(name) if self.is_sqlite and name and name != ":memory:" else None

    async def open(self) -> None:
        """Make what is missing: the file (0600) and the tables. Raises `ConfigError`."""
        try:
            if self.file is not None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                os.close(os.open(self.file, os.O_RDWR | os.O_CREAT, 0o600))
            async with asyncio.timeout(None if self.is_sqlite else CONNECT_S):
                connection = await self.engine.connect()
            async with aclosing(connection), connection.begin():  # a step may take long
                await connection.run_sync(migrate.upgrade)
        except (DBAPIError, PoolTimeout, OSError, TimeoutError) as error:
            why = getattr(error, "orig", None) or str(error) or "it does not answer"
            where = self.file or self.url.render_as_string(hide_password=True)
            raise ConfigError(f"{where}: the database cannot be used: {why}") from error

    @asynccontextmanager
    async def reading(self, *, quick: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection to read by. The block ends in `LONGEST_S`, a `quick` one in `QUICK_S`.
        Raises `RecordsAway`."""
        async with _away(self._within_s(quick)), self.engine.connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, *, large: bool = False) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end of the block, which ends in `LONGEST_S`, a `large`
        one in ten times as much. Raises `RecordsAway`."""
        within_s = self._within_s(quick=False)
        if large and within_s is not None:
            within_s *= 10
        async with _away(within_s), self.engine.begin() as connection:
            yield connection

    @asynccontextmanager
    async def changing(self, *, large: bool = False) -> AsyncIterator[AsyncConnection]:
        """The same, one at a time among all servers of the database: what is looked up in it holds
        until it is over."""
        async with self._one_change, self.writing(large=large) as connection:
            if self.is_sqlite:
                await connection.exec_driver_sql("BEGIN IMMEDIATE")
            elif connection.dialect.name == "postgresql":
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                await connection.execute(lock, {"key": CHANGE_LOCK})
            yield connection

    def _within_s(self, quick: bool) -> float | None:
        """A file answers, or says that it is locked; a server may say nothing any longer."""
        return None if self.is_sqlite else QUICK_S if quick else LONGEST_S

    async def scrub(self) -> bool:
        """After deletions: leave nothing of them in SQLite's journal. False where a reader was in
        the way; the next deletion does it then."""
        if not self.is_sqlite:
            return True
        async with self.reading() as connection:
            row = (await connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))).one()
            return int(row[0]) == 0

    async def close(self) -> None:
        await self.engine.dispose()


def _url(url: str, data: Path) -> URL:
    if not url:
        return URL.create("sqlite+aiosqlite", database=str(data / "telebot.db"))
    try:
        return make_url(url)
    except ArgumentError:
        raise ConfigError(
            "records.database_url: write DIALECT+DRIVER://…, for example "
            "postgresql+asyncpg://user:password@host/telebot"
        ) from None


def _connectable(url: URL, busy_s: float) -> AsyncEngine:
    options: dict[str, Any] = {"pool_pre_ping": url.get_backend_name() != "sqlite"}
    if url.get_backend_name() == "sqlite":
        options["connect_args"] = {"timeout": busy_s}
    else:
        options["pool_timeout"] = POOL_WAIT_S
    try:
        engine = create_async_engine(url, **options)
    except (NoSuchModuleError, ImportError, ArgumentError) as error:
        raise ConfigError(
            f"records.database_url: {url.drivername} cannot be used here: {error}"
        ) from None
    if url.get_backend_name() == "sqlite":
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",  # readers and the writer side by side
        "synchronous=NORMAL",  # with WAL: a crash of the process loses nothing
        "foreign_keys=ON",
        "secure_delete=ON",  # what retention deletes is overwritten
        "journal_size_limit=67108864",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
