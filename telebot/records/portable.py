"""The configuration that stands in the database as one: taken out, and put in whole or not at all.

What is wanted is compared with what is there inside the transaction that changes it. Next:
`api/voice/portable.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Literal

import orjson
from sqlalchemy import Executable, Row, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from telebot.call.ports import WallClock
from telebot.records.audit import entry
from telebot.records.choices import Choices, Tree
from telebot.records.keys import ApiKey, Keys, changed_terms
from telebot.records.store import Store
from telebot.records.tables import api_keys, flags, preferences, provider_keys
from telebot.records.vault import Brought, Opened, StoredKey, Vault

AT_ONCE = 500  # users: there may be 100,000, and calls go on between them
_ONE_USER = (
    preferences.c.owner == bindparam("b_owner"),
    preferences.c.user_id == bindparam("b_user"),
)
ADD_USER = (insert(preferences),)
CHANGE_USER = (
    update(preferences)
    .where(*_ONE_USER)
    .values({name: bindparam(name) for name in ("settings", "updated_at")}),
)
REMOVE_USER = (delete(preferences).where(*_ONE_USER),)
Section = Literal["preferences", "flags", "keys", "provider_keys"]
Action = Literal["add", "change", "remove"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be there. None: that section is left alone. `replace`: what a section does not
    name goes. `keys` are the terms of keys that exist."""

    preferences: Mapping[tuple[str, str], Tree] | None
    flags: Mapping[str, Tree] | None
    keys: Mapping[str, Mapping[str, Any]] | None
    provider_keys: Sequence[Brought] | None
    replace: bool


@dataclass(frozen=True, slots=True)
class Change:
    """One difference. `name` tells people what it is about. `values` are those of a statement that
    many have in common."""

    section: Section
    action: Action
    name: str
    does: Sequence[Executable] = field(default=(), repr=False)
    values: Mapping[str, Any] | None = field(default=None, repr=False)


class Portable:
    """Reads and writes all of it. Raises `RecordsAway` and `SealedElsewhere`."""

    def __init__(
        self, store: Store, now: WallClock, choices: Choices, keys: Keys, vault: Vault
    ) -> None:
        self._store = store
        self._now = now
        self._choices = choices
        self._keys = keys
        self._vault = vault

    async def preferences(self) -> dict[tuple[str, str], Tree]:
        """By owner and user."""
        async with self._store.reading() as connection:
            return await _preferences(connection)

    async def flags(self) -> dict[str, Tree]:
        async with self._store.reading() as connection:
            return await _flags(connection)

    async def keys(self) -> list[ApiKey]:
        """Those that open something."""
        now = self._now()
        return [key for key in await self._keys.list() if key.live(now)]

    async def provider_keys(self) -> list[StoredKey]:
        """Of every owner, without their secrets."""
        return await self._vault.every()

    async def opened(self) -> list[Opened]:
        """The same with their secrets."""
        return [key for each in await self._owners() for key in await self._vault.open(each)]

    async def exported(self, who: str, *, secrets: bool) -> None:
        """Write down that somebody took it out."""
        async with self._store.writing() as connection:
            told = {"secrets": secrets}
            await connection.execute(entry(who, self._now(), "config_exported", told))

    async def changes(self, wanted: Wanted) -> list[Change]:
        """What `put` would do."""
        async with self._store.reading() as connection:
            return [change async for change in self._changes(connection, wanted)]

    async def put(self, wanted: Wanted, who: str) -> list[Change]:
        """Make it so: everything, or where it fails nothing."""
        async with self._store.changing(large=True) as connection:
            changes = [change async for change in self._changes(connection, wanted)]
            for does, alike in groupby(changes, key=lambda change: change.does):
                many = [change.values for change in alike if change.values is not None]
                for statement in does:
                    for at in range(0, len(many), AT_ONCE) if many else (0,):
                        await connection.execute(statement, many[at : at + AT_ONCE] or None)
            for line in self._lines(changes, who, replace=wanted.replace):
                await connection.execute(line)
        self._choices.refresh()
        self._keys.forget()
        self._vault.refresh()
        if any(change.action == "remove" for change in changes):
            await self._store.scrub()
        return changes

    async def _owners(self) -> list[str]:
        return sorted({key.owner for key in await self._vault.every()})

    def _lines(self, changes: Sequence[Change], who: str, *, replace: bool) -> Iterator[Executable]:
        """For the audit log: how many of each, and each by its name but for users."""
        counts = Counter(f"{change.section}.{change.action}" for change in changes)
        now = self._now()
        yield entry(who, now, "config_imported", {"replace": replace} | dict(counts))
        for change in changes:
            if change.section != "preferences":
                told = {"section": change.section, "action": change.action, "name": change.name}
                yield entry(who, now, "config_import_changed", told)

    async def _changes(self, connection: AsyncConnection, wanted: Wanted) -> AsyncIterator[Change]:
        now = self._now()
        if wanted.preferences is not None:
            known = await _preferences(connection)
            differ = _preference_changes(known, wanted.preferences, now, wanted.replace)
            for count, change in enumerate(differ):
                if count % AT_ONCE == 0:
                    await asyncio.sleep(0)
                yield change
        if wanted.flags is not None:
            for change in _flag_changes(await _flags(connection), wanted, now):
                yield change
        if wanted.keys is not None:
            rows = {row.id: row for row in await connection.execute(select(api_keys))}
            for key_id, terms in sorted(wanted.keys.items()):
                if columns := changed_terms(rows[key_id], terms):
                    mine = update(api_keys).where(api_keys.c.id == key_id)
                    yield Change("keys", "change", key_id, [mine.values(**columns)])
        if wanted.provider_keys is not None:
            stored = (await connection.execute(select(provider_keys))).all()
            for change in self._provider_key_changes(stored, wanted):
                yield change

    def _provider_key_changes(self, rows: Sequence[Row[Any]], wanted: Wanted) -> Iterator[Change]:
        known = {(row.owner, row.provider, row.label): row for row in rows}
        named = {key.name for key in wanted.provider_keys or ()}
        for key in wanted.provider_keys or ():
            row = known.get(key.name)
            label = "/".join(part for part in key.name if part)
            does = self._vault.statements(key, row)
            if does:
                yield Change("provider_keys", "change" if row else "add", label, does)
        for name, row in known.items():
            if wanted.replace and name not in named:
                gone = delete(provider_keys).where(provider_keys.c.id == row.id)
                label = "/".join(part for part in name if part)
                yield Change("provider_keys", "remove", label, [gone])


async def _preferences(connection: AsyncConnection) -> dict[tuple[str, str], Tree]:
    found: dict[tuple[str, str], Tree] = {}
    rows = await connection.stream(select(preferences).order_by(*preferences.primary_key))
    async for some in rows.partitions(AT_ONCE):
        found |= {(row.owner, row.user_id): orjson.loads(row.settings) for row in some}
    return found


async def _flags(connection: AsyncConnection) -> dict[str, Tree]:
    rows = await connection.execute(select(flags).order_by(flags.c.name))
    return {row.name: orjson.loads(row.settings) for row in rows}


def _preference_changes(
    known: Mapping[tuple[str, str], Tree],
    wanted: Mapping[tuple[str, str], Tree],
    now: datetime,
    replace: bool,
) -> Iterator[Change]:
    for (owner, user), tree in wanted.items():
        before = known.get((owner, user))
        if before == tree:
            continue
        values = {"settings": orjson.dumps(tree).decode(), "updated_at": now}
        if before is None:
            made = {"owner": owner, "user_id": user, "created_at": now} | values
            yield Change("preferences", "add", _told(owner, user), ADD_USER, made)
        else:
            of_user = {"b_owner": owner, "b_user": user}
            yield Change("preferences", "change", _told(owner, user), CHANGE_USER, of_user | values)
    for owner, user in known.keys() - wanted.keys() if replace else ():
        of_user = {"b_owner": owner, "b_user": user}
        yield Change("preferences", "remove", _told(owner, user), REMOVE_USER, of_user)


def _told(owner: str, user: str) -> str:
    return f"{owner}/{user}".rstrip("/")


def _flag_changes(known: Mapping[str, Tree], wanted: Wanted, now: datetime) -> Iterator[Change]:
    asked = wanted.flags or {}
    for name, tree in asked.items():
        if known.get(name) == tree:
            continue
        values = {"settings": orjson.dumps(tree).decode(), "updated_at": now}
        if name in known:
            does: Executable = update(flags).where(flags.c.name == name).values(values)
            yield Change("flags", "change", name, [does])
        else:
            does = insert(flags).values({"name": name, "created_at": now} | values)
            yield Change("flags", "add", name, [does])
    for name in known.keys() - asked.keys() if wanted.replace else ():
        yield Change("flags", "remove", name, [delete(flags).where(flags.c.name == name)])
