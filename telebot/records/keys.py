"""API keys: random, kept as hashes, with one of three scopes and what each of them may use.

The HTTP edge asks `Keys.check` for every request; `/v1/keys` and `telebot keys` make, change and
revoke them, in another process if need be: what it changes counts within seconds here. How the
first one comes to be stands in `first_key.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from telebot.call.errors import Local
from telebot.call.ports import Clock, WallClock
from telebot.records.audit import entry
from telebot.records.first_key import MAX_KEY_CHARS, FirstKey, digest, new_row, new_secret
from telebot.records.remembered import Remembered
from telebot.records.rows import clean
from telebot.records.store import Store
from telebot.records.tables import NAME_CHARS, api_keys

FRESH_S = 2.0  # a key made or revoked elsewhere counts after this
USED_EVERY = timedelta(minutes=1)
MOST_KEYS = 10_000
MOST_MODELS = 100
LONGEST_GRACE = timedelta(days=30)


class Scope(StrEnum):
    """What a key may do; each scope includes the ones before it."""

    VIEWER = "viewer"  # read calls; spend what it has been given
    OPERATOR = "operator"  # and make and steer them
    ADMIN = "admin"  # and delete them, and everything else

    def allows(self, wanted: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


class Tier(StrEnum):
    """How urgent a key's voice work is, where it has to wait."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


class NoKey(Local):
    """No key, or one that is unknown or revoked (HTTP 401)."""


class ExpiredKey(NoKey):
    """A key whose time is over (HTTP 401)."""


class WrongScope(Local):
    """A good key that may not do this (HTTP 403)."""


class NotChanged(Local):
    """The key cannot be changed so; the message says what to do instead."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    scope: Scope
    source: str  # created, generated, environment; oidc
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    requests_per_minute: int | None = None  # None: as the settings say
    monthly_budget: float | None = None  # of voice work that is no call, in the records' currency
    models: tuple[str, ...] = ()  # that it may use: ``vendor/*``, ``local``; empty: any
    tier: Tier = Tier.NORMAL
    expires_at: datetime | None = None
    previous_until: datetime | None = None  # until then its secret before the last opens too

    def require(self, wanted: Scope) -> None:
        """Raises `WrongScope` where this key does not allow `wanted`."""
        if not self.scope.allows(wanted):
            raise WrongScope(f"needs a key of scope {wanted.value}")

    def live(self, now: datetime) -> bool:
        """Whether it opens anything."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


Secrets = dict[bytes, tuple[ApiKey, datetime | None]]  # by their hashes, and until when
Found = tuple[Secrets, dict[str, ApiKey]]  # and by their ids


class Keys:
    """The keys of one server. `used` is told (key id, time) at most once a minute a key; `by` of
    what changes them is the owner who does it, "" for the command line."""

    def __init__(
        self,
        store: Store,
        data: Path,
        now: WallClock,
        clock: Clock,
        *,
        used: Callable[[str, datetime], None] = lambda *_: None,
        admin_key: str = "",
    ) -> None:
        self._store = store
        self._now = now
        self._used = used
        self.first = FirstKey(store, data, now, admin_key)
        self._live: Secrets = {}
        self._ids: dict[str, ApiKey] = {}
        self._known = Remembered[None, Found](self._found, clock, FRESH_S)
        self._last_used: dict[str, datetime] = {}

    async def open(self) -> None:
        """See to it that an admin key exists (`first_key.py`). Raises `ConfigError`."""
        await self.first.open(self._has_admin)
        self.forget()

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        """The key `secret` is. Raises `NoKey`, `WrongScope` and `RecordsAway`."""
        key = await self._find(secret) if secret and len(secret) <= MAX_KEY_CHARS else None
        if key is None:
            raise NoKey("unknown key" if secret else "no key")
        if not key.live(self._now()):
            raise ExpiredKey("expired key")
        self._note_use(key.id)
        key.require(wanted)
        return key

    async def by_id(self, key_id: str) -> ApiKey | None:
        """A live key by its id, for sessions that began with it."""
        await self._refresh()
        now = self._now()
        key = self._ids.get(key_id)
        return key if key is not None and key.live(now) else None

    async def list(self) -> list[ApiKey]:
        """Every key, the oldest first, revoked ones included."""
        async with self._store.reading() as connection:
            found = await connection.execute(select(api_keys).order_by(api_keys.c.created_at))
            return [_key(row) for row in found]

    async def find(self, key_id: str) -> ApiKey | None:
        """A key by its id, whatever became of it."""
        async with self._store.reading() as connection:
            mine = select(api_keys).where(api_keys.c.id == key_id)
            row = (await connection.execute(mine)).first()
        return None if row is None else _key(row)

    async def create(
        self,
        name: str,
        scope: Scope,
        *,
        requests_per_minute: int | None = None,
        monthly_budget: float | None = None,
        models: Sequence[str] = (),
        tier: Tier = Tier.NORMAL,
        expires_at: datetime | None = None,
        by: str = "",
    ) -> tuple[ApiKey, str]:
        """A new key and its secret (``tb_…``), which is not kept and cannot be shown again. Raises
        `NotChanged` where there are too many."""
        secret = new_secret()
        terms = {
            "requests_per_minute": requests_per_minute,
            "monthly_budget": monthly_budget,
            "models": models,
            "tier": tier,
            "expires_at": expires_at,
        }
        async with self._store.changing() as connection:
            alive = select(func.count()).where(api_keys.c.revoked_at.is_(None))
            if (await connection.execute(alive)).scalar_one() >= MOST_KEYS:
                raise NotChanged(f"there are {MOST_KEYS} keys: revoke some")
            row = new_row(name, secret, scope.value, "created", self._now()) | _columns(terms)
            await connection.execute(insert(api_keys).values(row))
            told = {"id": row["id"], "name": row["name"], "scope": scope.value} | _given(terms)
            await connection.execute(entry(by, self._now(), "key_created", told))
        self.forget()
        key = await self._find(secret)
        assert key is not None  # just made
        return key, secret

    async def change(self, key_id: str, terms: Mapping[str, Any], by: str = "") -> ApiKey | None:
        """A live key with other `terms` (as `create` has them, and ``name``). None where there is
        no such live key."""
        async with self._store.changing() as connection:
            changed = update(api_keys).where(*_mine(key_id)).values(**_columns(terms))
            done = await connection.execute(changed)
            if done.rowcount == 1:
                told = {"id": key_id} | _given(terms)
                await connection.execute(entry(by, self._now(), "key_changed", told))
        self.forget()
        return await self.find(key_id) if done.rowcount == 1 else None

    async def rotate(
        self, key_id: str, *, grace: timedelta = timedelta(0), by: str = ""
    ) -> str | None:
        """A new secret for a key, which stays what it is; the old one opens nothing after `grace`,
        the one before the old one at once. None where there is no such live key. Raises
        `NotChanged` where the secret is not ours to choose."""
        secret, now = new_secret(), self._now()
        async with self._store.changing() as connection:
            row = (await connection.execute(select(api_keys).where(*_mine(key_id)))).first()
            if row is None:
                return None
            if row.source == "environment":
                raise NotChanged("its secret is TELEBOT_ADMIN_KEY: change it there, and restart")
            values: dict[str, Any] = {"previous_hash": None, "previous_until": None}
            if grace > timedelta(0):
                until = now + min(grace, LONGEST_GRACE)
                values = {"previous_hash": row.hash, "previous_until": until}
            self.first.renewed(row.hash, secret)
            values["hash"] = digest(secret).hex()
            await connection.execute(update(api_keys).where(*_mine(key_id)).values(**values))
            told = {"id": key_id, "grace_s": grace.total_seconds()}
            await connection.execute(entry(by, now, "key_rotated", told))
        self.forget()
        return secret

    async def revoke(self, key_id: str, by: str = "", *, keep_an_admin: bool = False) -> bool:
        """False where there is no such key, or it was revoked before. Raises `NotChanged` on the
        last admin key where one is to be kept."""
        async with self._store.changing() as connection:
            if keep_an_admin and await self._last_admin(connection, key_id):
                raise NotChanged("it is the last key of scope admin: make another one first")
            done = await connection.execute(
                update(api_keys)
                .where(*_mine(key_id))
                .values(revoked_at=self._now(), previous_hash=None, previous_until=None)
            )
            if done.rowcount == 1:
                await connection.execute(entry(by, self._now(), "key_revoked", {"id": key_id}))
        self.forget()
        return done.rowcount == 1

    def forget(self) -> None:
        """Read the keys anew at the next question."""
        self._known.forget(None)

    async def _has_admin(self) -> bool:
        return any(key.scope is Scope.ADMIN and key.revoked_at is None for key in await self.list())

    async def _last_admin(self, connection: AsyncConnection, key_id: str) -> bool:
        live = select(api_keys).where(api_keys.c.revoked_at.is_(None))
        rows = (await connection.execute(live)).all()
        now = self._now()
        admins = {row.id for row in rows if row.scope == Scope.ADMIN and _key(row).live(now)}
        return admins == {key_id}

    async def _find(self, secret: str) -> ApiKey | None:
        await self._refresh()
        # by its hash: how long that takes tells nothing of a secret
        key, until = self._live.get(digest(secret), (None, None))
        return key if until is None or self._now() < until else None

    async def _refresh(self) -> None:
        self._live, self._ids = await self._known.get(None)

    async def _found(self, _: None) -> Found:
        async with self._store.reading(quick=True) as connection:
            live = select(api_keys).where(api_keys.c.revoked_at.is_(None))
            found = (await connection.execute(live)).all()
        secrets: Secrets = {bytes.fromhex(row.hash): (_key(row), None) for row in found}
        ids = {key.id: key for key, _ in secrets.values()}
        for row in found:
            if row.previous_hash:
                before = bytes.fromhex(row.previous_hash)
                secrets.setdefault(before, (_key(row), row.previous_until))
        return secrets, ids

    def _note_use(self, key_id: str) -> None:
        now, last = self._now(), self._last_used.get(key_id)
        if last is None or now - last >= USED_EVERY:
            self._last_used[key_id] = now
            self._used(key_id, now)


def _mine(key_id: str) -> tuple[Any, Any]:
    return (api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))


def changed_terms(row: Row[Any], terms: Mapping[str, Any]) -> dict[str, Any]:
    """The columns by which these terms (as `Keys.create` has them) differ from what a key has."""
    key = _key(row)
    return _columns({name: new for name, new in terms.items() if getattr(key, name) != new})


def _columns(terms: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(terms)
    if "models" in values:
        models = list(values["models"] or ())
        values["models"] = orjson.dumps(models).decode() if models else None
    if "tier" in values:
        values["tier"] = Tier(values["tier"] or Tier.NORMAL).value
    if "name" in values:
        values["name"] = clean(values["name"], NAME_CHARS)
    return values


def _given(terms: Mapping[str, Any]) -> dict[str, Any]:
    """For the audit: what was said."""
    told = {name: value for name, value in terms.items() if value not in (None, (), [])}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in told.items()
    }


def _key(row: Row[Any]) -> ApiKey:
    return ApiKey(
        row.id,
        row.name,
        Scope(row.scope),
        row.source,
        row.created_at,
        row.last_used_at,
        row.revoked_at,
        row.requests_per_minute,
        row.monthly_budget,
        tuple(orjson.loads(row.models)) if row.models else (),
        Tier(row.tier or Tier.NORMAL),
        row.expires_at,
        row.previous_until,
    )
