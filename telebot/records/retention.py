"""Deletes what is too old, and what somebody asks to delete: rows, recordings, and their traces.

SQLite overwrites deleted rows (`secure_delete`) and its journal is emptied after; files are
unlinked first, so that a crash in between leaves a record to try again, never a lost file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import Row, delete, select

from telebot.call.errors import Local
from telebot.call.ports import WallClock
from telebot.records.recording import RecordingState
from telebot.records.store import RecordsAway, Store
from telebot.records.tables import calls

log = structlog.get_logger(__name__)

EVERY_S = 3600.0
BATCH = 200
LONGEST_CALL = timedelta(days=2)


class StillLive(Local):
    """A call that is up, or whose recording is not finished, cannot be deleted."""


class Retention:
    """Deletes calls that ended more than `days` ago; 0 keeps everything."""

    def __init__(
        self,
        store: Store,
        data: Path,
        server: str,
        days: float,
        now: WallClock,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._data = data
        self._server = server
        self._days = days
        self._now = now
        self._sleep = sleep

    async def run(self) -> None:
        """Now and every hour, until cancelled."""
        while True:
            try:
                await self.once()
            except (RecordsAway, OSError) as error:
                log.warning("retention_failed", error=type(error).__name__)
            await self._sleep(EVERY_S)

    async def once(self) -> int:
        """Delete what is due; returns how many calls. Raises `RecordsAway` and OSError."""
        if self._days <= 0:
            return 0
        cutoff = self._now() - timedelta(days=self._days)
        deleted = 0
        while found := await self._due(cutoff):
            await self._delete(found)
            deleted += len(found)
        await asyncio.to_thread(_sweep, self._data / "recordings", (cutoff - LONGEST_CALL).date())
        if deleted:
            log.info("calls_deleted", count=deleted, scrubbed=await self._store.scrub())
        return deleted

    async def delete(self, call_id: str) -> bool:
        """Delete one call now; False where there is none. Raises `StillLive`, `RecordsAway`."""
        query = select(*_COLUMNS).where(calls.c.id == call_id)
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return False
        if row.ended_at is None or row.recording == RecordingState.LIVE:
            raise StillLive(call_id)
        await self._delete([row])
        log.info("calls_deleted", count=1, scrubbed=await self._store.scrub())
        return True

    async def forget(self, owner: str, user: str) -> int:
        """Delete what was recorded of a user's sessions that are over; returns how many. What lies
        on another server's disk its own retention takes away."""
        mine = (calls.c.key_id == owner, calls.c.user_id == user, calls.c.ended_at.is_not(None))
        async with self._store.reading() as connection:
            found = (await connection.execute(select(*_COLUMNS).where(*mine))).all()
        if found:
            await self._delete(found)
            await self._store.scrub()
        return len(found)

    async def _due(self, cutoff: datetime) -> Sequence[Row[*tuple[object, ...]]]:
        query = select(*_COLUMNS).where(calls.c.ended_at < cutoff)
        # recordings lie on the server that took the call: each deletes its own
        query = query.where(calls.c.server == self._server).limit(BATCH)
        async with self._store.reading() as connection:
            return (await connection.execute(query)).all()

    async def _delete(self, found: Sequence[Row[*tuple[object, ...]]]) -> None:
        paths = [self._data / str(row.recording_path) for row in found if row.recording_path]
        await asyncio.to_thread(_unlink, paths)
        async with self._store.writing() as connection:  # turns, notes, events, costs go along
            await connection.execute(delete(calls).where(calls.c.id.in_([row.id for row in found])))


_COLUMNS = (calls.c.id, calls.c.ended_at, calls.c.recording, calls.c.recording_path)


def _unlink(paths: Sequence[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
        for folder in list(path.parents)[:3]:  # day, month, year
            with suppress(OSError):  # not empty, or gone
                folder.rmdir()


def _sweep(root: Path, before: date) -> None:
    """Recordings that no record names any more (a crash came between): whole days at a time."""
    for folder in root.glob("[0-9][0-9][0-9][0-9]/[0-9][0-9]/[0-9][0-9]"):
        try:
            day = date(*(int(part) for part in folder.parts[-3:]))
        except ValueError:
            continue
        if day < before:
            _unlink(sorted(folder.glob("*.wav")))
