"""What users prefer and what an operator tries (flags), as JSON trees by their names.

What is in the trees is `voice/`'s business. Read at every request, hence kept for `FRESH_S`: what
another server of the same database changed counts after that. Next: `voice/tailoring.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from telebot.call.errors import Local
from telebot.call.ports import Clock, WallClock
from telebot.records.audit import entry
from telebot.records.remembered import Remembered
from telebot.records.store import Store
from telebot.records.tables import flags, preferences, work

FRESH_S = 2.0
MOST_KEPT = 10_000  # users whose preferences are in memory
MOST_USERS = 100_000  # of one owner
MOST_FLAGS = 50
Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stored:
    """A tree as it is kept. `name` is a user's id ("": the owner's own) or a flag's name."""

    name: str
    tree: Tree
    created_at: datetime
    updated_at: datetime


class TooMany(Local):
    """No more of them are kept."""


async def nothing_waits() -> None:
    """For records that are written at once."""


class Choices:
    """Reads and changes them. Every change stands in the audit log, by its names alone. `written`
    is awaited before a user is forgotten, so that nothing of theirs is written afterwards. Raises
    `RecordsAway`."""

    def __init__(
        self,
        store: Store,
        now: WallClock,
        clock: Clock,
        written: Callable[[], Awaitable[None]] = nothing_waits,
    ) -> None:
        self._store = store
        self._now = now
        self._written = written
        self._users = Remembered[tuple[str, str], Tree | None](
            self._tree, clock, FRESH_S, most=MOST_KEPT
        )
        self._flags = Remembered[None, Mapping[str, Stored]](self._all_flags, clock, FRESH_S)

    def refresh(self) -> None:
        """Read everything anew: it was changed past this object."""
        self._users.forget_all()
        self._flags.forget_all()

    async def preferences(self, owner: str, user: str) -> Tree | None:
        """What a user prefers; None where nothing is kept of them. Not to be changed."""
        return await self._users.get((owner, user))

    async def _tree(self, name: tuple[str, str]) -> Tree | None:
        stored = await self.stored(*name)
        return None if stored is None else stored.tree

    async def stored(self, owner: str, user: str) -> Stored | None:
        """The same as it stands in the database now."""
        async with self._store.reading(quick=True) as connection:
            return await _preferences(connection, owner, user)

    async def users(self, owner: str, limit: int, after: str = "") -> list[Stored]:
        """An owner's users in the order of their ids, those behind `after`; the owner's own
        preferences are not among them."""
        mine = (preferences.c.owner == owner, preferences.c.user_id > after)
        query = select(preferences).where(*mine).order_by(preferences.c.user_id).limit(limit)
        async with self._store.reading() as connection:
            return [_stored(row, row.user_id) for row in await connection.execute(query)]

    async def change(
        self, owner: str, user: str, changed: Callable[[Tree | None], Tree], action: str
    ) -> Stored:
        """Keep what `changed` makes of what is kept, and raise what it raises. Raises `TooMany`."""
        mine = (preferences.c.owner == owner, preferences.c.user_id == user)
        async with self._store.changing() as connection:
            known = await _preferences(connection, owner, user)
            if known is None:
                count = select(func.count()).where(preferences.c.owner == owner)
                if (await connection.execute(count)).scalar_one() >= MOST_USERS:
                    raise TooMany(f"at most {MOST_USERS} users")
            tree, now = changed(None if known is None else known.tree), self._now()
            values = {"settings": _text(tree), "updated_at": now}
            if known is None:
                made = {"owner": owner, "user_id": user, "created_at": now}
                await connection.execute(insert(preferences).values(made | values))
            else:
                await connection.execute(update(preferences).where(*mine).values(values))
            told = {"of_user": bool(user), "set": sorted(tree)}
            await connection.execute(entry(owner, now, action, told))
        self._users.forget((owner, user))
        return Stored(user, tree, known.created_at if known else now, now)

    async def forget(self, owner: str, user: str) -> bool:
        """Delete all that is kept of a user: preferences, and the link to them in the records of
        work, which stay without it because they were paid for. False where there was nothing."""
        await self._written()
        async with self._store.changing() as connection:
            mine = (preferences.c.owner == owner, preferences.c.user_id == user)
            gone = (await connection.execute(delete(preferences).where(*mine))).rowcount
            if user:
                theirs = (work.c.key_id == owner, work.c.user_id == user)
                unlinked = update(work).where(*theirs).values(user_id=None)
                gone += (await connection.execute(unlinked)).rowcount
            if gone:
                told = {"of_user": bool(user)}
                await connection.execute(entry(owner, self._now(), "user_forgotten", told))
        self._users.forget((owner, user))
        if gone:
            await self._store.scrub()
        return gone > 0

    async def flags(self) -> Mapping[str, Stored]:
        """Every flag by its name, in the order of the names."""
        return await self._flags.get(None)

    async def _all_flags(self, _: None) -> Mapping[str, Stored]:
        async with self._store.reading(quick=True) as connection:
            rows = (await connection.execute(select(flags).order_by(flags.c.name))).all()
        return {row.name: _stored(row, row.name) for row in rows}

    async def put_flag(self, name: str, tree: Tree, who: str) -> Stored:
        """Keep a flag, in place of one of that name. Raises `TooMany`."""
        async with self._store.changing() as connection:
            known = (await connection.execute(select(flags).where(flags.c.name == name))).first()
            now = self._now()
            values = {"settings": _text(tree), "updated_at": now}
            if known is None:
                count = select(func.count()).select_from(flags)
                if (await connection.execute(count)).scalar_one() >= MOST_FLAGS:
                    raise TooMany(f"at most {MOST_FLAGS} flags")
                await connection.execute(
                    insert(flags).values({"name": name, "created_at": now} | values)
                )
            else:
                await connection.execute(update(flags).where(flags.c.name == name).values(values))
            await connection.execute(entry(who, now, "flag_stored", {"flag": name}))
        self._flags.forget(None)
        return Stored(name, tree, known.created_at if known else now, now)

    async def delete_flag(self, name: str, who: str) -> bool:
        """False where there is none of that name."""
        async with self._store.changing() as connection:
            gone = await connection.execute(delete(flags).where(flags.c.name == name))
            if gone.rowcount:
                await connection.execute(entry(who, self._now(), "flag_deleted", {"flag": name}))
        self._flags.forget(None)
        return gone.rowcount == 1


async def _preferences(connection: AsyncConnection, owner: str, user: str) -> Stored | None:
    mine = (preferences.c.owner == owner, preferences.c.user_id == user)
    row = (await connection.execute(select(preferences).where(*mine))).first()
    return None if row is None else _stored(row, user)


def _stored(row: Row[Any], name: str) -> Stored:
    return Stored(name, orjson.loads(row.settings), row.created_at, row.updated_at)


def _text(tree: Tree) -> str:
    return orjson.dumps(tree).decode()
