"""API keys: random, kept as hashes, with one of three scopes.

The HTTP edge asks `Keys.check` for every request; `telebot keys` makes and revokes them, in another
process if need be: what it changes counts within seconds here.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Row, delete, insert, select, update

from telebot.call.errors import ConfigError, Local
from telebot.call.ports import Clock, WallClock
from telebot.records.rows import clean
from telebot.records.store import Store
from telebot.records.tables import NAME_CHARS, api_keys

log = structlog.get_logger(__name__)

FRESH_S = 2.0  # a key made or revoked elsewhere counts after this
USED_EVERY = timedelta(minutes=1)
MAX_KEY_CHARS = 512


class Scope(StrEnum):
    """What a key may do; each scope includes the ones before it."""

    VIEWER = "viewer"  # read calls
    OPERATOR = "operator"  # and make and steer them
    ADMIN = "admin"  # and delete them, and everything else

    def allows(self, wanted: Scope) -> bool:
        order = list(Scope)
        return order.index(self) >= order.index(wanted)


class NoKey(Local):
    """No key, or one that is unknown or revoked (HTTP 401)."""


class WrongScope(Local):
    """A good key that may not do this (HTTP 403)."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret."""

    id: str
    name: str
    scope: Scope
    source: str  # created, generated, environment
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None
    requests_per_minute: int | None = None  # None: as the settings say
    monthly_budget: float | None = None  # of voice work that is no call, in the records' currency

    def require(self, wanted: Scope) -> None:
        """Raises `WrongScope` where this key does not allow `wanted`."""
        if not self.scope.allows(wanted):
            raise WrongScope(f"needs a key of scope {wanted.value}")


class Keys:
    """The keys of one server. `used` is told (key id, time) at most once a minute a key."""

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
        self._clock = clock
        self._used = used
        self._admin_key = admin_key
        self.admin_key_path = data / "admin-key"
        self.admin_key_is_set = bool(admin_key)  # by the operator: there is no file then
        self._live: dict[bytes, ApiKey] = {}
        self._read_at: float | None = None
        self._last_used: dict[str, datetime] = {}

    async def open(self) -> None:
        """See to it that an admin key exists: the operator's own, the one in the data folder, or a
        new one written there (0600)."""
        if self._admin_key:
            await self._from_environment(self._admin_key)
            return
        if self.admin_key_path.exists():
            secret = self.admin_key_path.read_text(encoding="utf-8").strip()
            if not secret:
                raise ConfigError(
                    f"{self.admin_key_path} is empty: delete it, and where no other key is known "
                    "make one by `telebot keys create NAME --scope admin`"
                )
            await self._keep("first admin key", secret, Scope.ADMIN, "generated")
            return
        if any(key.scope is Scope.ADMIN and key.revoked_at is None for key in await self.list()):
            return
        secret = _new_secret()
        _write_secret(self.admin_key_path, secret)  # first: one that is kept nowhere opens nothing
        await self._keep("first admin key", secret, Scope.ADMIN, "generated")
        log.info("admin_key_written", path=str(self.admin_key_path))

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        """The key `secret` is. Raises `NoKey`, `WrongScope` and `RecordsAway`."""
        key = await self._find(secret) if secret and len(secret) <= MAX_KEY_CHARS else None
        if key is None:
            raise NoKey("unknown key" if secret else "no key")
        self._note_use(key.id)
        key.require(wanted)
        return key

    async def by_id(self, key_id: str) -> ApiKey | None:
        """A live key by its id, for sessions that began with it."""
        await self._refresh()
        return next((key for key in self._live.values() if key.id == key_id), None)

    async def list(self) -> list[ApiKey]:
        """Every key, the oldest first, revoked ones included."""
        async with self._store.reading() as connection:
            found = await connection.execute(select(api_keys).order_by(api_keys.c.created_at))
            return [_key(row) for row in found]

    async def create(
        self,
        name: str,
        scope: Scope,
        *,
        requests_per_minute: int | None = None,
        monthly_budget: float | None = None,
    ) -> tuple[ApiKey, str]:
        """A new key and its secret (``tb_…``), which is not kept and cannot be shown again."""
        secret = _new_secret()
        limits = {"requests_per_minute": requests_per_minute, "monthly_budget": monthly_budget}
        await self._keep(name, secret, scope, "created", limits)
        key = await self._find(secret)
        assert key is not None  # just made
        return key, secret

    async def rotate(self, key_id: str) -> str | None:
        """A new secret for a key, which stays what it is; the old one opens nothing any more. None
        where there is no such live key."""
        secret = _new_secret()
        async with self._store.writing() as connection:
            done = await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(hash=_hash(secret).hex(), source="created")
            )
        self._read_at = None
        return secret if done.rowcount == 1 else None

    async def revoke(self, key_id: str) -> bool:
        """False where there is no such key, or it was revoked before."""
        async with self._store.writing() as connection:
            done = await connection.execute(
                update(api_keys)
                .where(api_keys.c.id == key_id, api_keys.c.revoked_at.is_(None))
                .values(revoked_at=self._now())
            )
        self._read_at = None
        return done.rowcount == 1

    async def _from_environment(self, secret: str) -> None:
        if len(secret) > MAX_KEY_CHARS or not secret.isprintable() or " " in secret:
            raise ConfigError("TELEBOT_ADMIN_KEY: write 16 to 512 printable characters, no spaces")
        if len(secret) < 16:
            log.warning("admin_key_short", hint="TELEBOT_ADMIN_KEY should have 16 characters")
        async with self._store.writing() as connection:  # the one of an earlier start is replaced
            earlier = api_keys.c.source == "environment"
            other = api_keys.c.hash != _hash(secret).hex()
            await connection.execute(delete(api_keys).where(earlier, other))
        await self._keep("TELEBOT_ADMIN_KEY", secret, Scope.ADMIN, "environment")

    async def _keep(
        self,
        name: str,
        secret: str,
        scope: Scope,
        source: str,
        limits: Mapping[str, Any] | None = None,
    ) -> None:
        digest = _hash(secret).hex()
        async with self._store.writing() as connection:
            known = select(api_keys.c.revoked_at).where(api_keys.c.hash == digest)
            row = (await connection.execute(known)).first()
            if row is not None:
                if row.revoked_at is not None:
                    log.warning("admin_key_revoked", source=source)
                return
            values = {
                "id": secrets.token_hex(6),
                "name": clean(name, NAME_CHARS),
                "scope": scope.value,
                "hash": digest,
                "source": source,
                "created_at": self._now(),
                **(limits or {}),
            }
            await connection.execute(insert(api_keys).values(values))
        self._read_at = None

    async def _find(self, secret: str) -> ApiKey | None:
        await self._refresh()
        digest = _hash(secret)
        found = None
        for known, key in self._live.items():  # all of them: the time tells nothing
            if hmac.compare_digest(known, digest):
                found = key
        return found

    async def _refresh(self) -> None:
        if self._read_at is not None and self._clock() - self._read_at < FRESH_S:
            return
        async with self._store.reading() as connection:
            live = select(api_keys).where(api_keys.c.revoked_at.is_(None))
            found = (await connection.execute(live)).all()
        self._live = {bytes.fromhex(row.hash): _key(row) for row in found}
        self._read_at = self._clock()

    def _note_use(self, key_id: str) -> None:
        now, last = self._now(), self._last_used.get(key_id)
        if last is None or now - last >= USED_EVERY:
            self._last_used[key_id] = now
            self._used(key_id, now)


def _new_secret() -> str:
    return f"tb_{secrets.token_urlsafe(32)}"


def _hash(secret: str) -> bytes:
    # the secrets are random, 256 bits: a slow hash would add nothing
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


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
    )


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
    except OSError:
        path.unlink()  # a disk that is full takes names, not data
        raise
