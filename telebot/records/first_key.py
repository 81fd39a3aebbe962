"""Secrets of API keys, and how the first key comes to be: the operator's own (`TELEBOT_ADMIN_KEY`),
the one in the data folder, or a new one written there.

`keys.py` opens it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Awaitable, Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, insert, or_, select

from telebot.call.errors import ConfigError
from telebot.call.ports import WallClock
from telebot.records.rows import clean
from telebot.records.store import Store
from telebot.records.tables import NAME_CHARS, api_keys

log = structlog.get_logger(__name__)

ADMIN = "admin"
MAX_KEY_CHARS = 512


class FirstKey:
    """The admin key that no other key had to make. `path` is its file, where there is one."""

    def __init__(self, store: Store, data: Path, now: WallClock, given: str) -> None:
        self._store = store
        self._now = now
        self._given = given
        self.path = data / "admin-key"
        self.is_set = bool(given)  # by the operator: there is no file then

    async def open(self, others: Callable[[], Awaitable[bool]]) -> None:
        """See to it that an admin key exists. `others` says whether one is known already. Raises
        `ConfigError`."""
        if self._given:
            await self._from_environment(self._given)
            return
        if self.path.exists():
            secret = self.path.read_text(encoding="utf-8").strip()
            if not secret:
                raise ConfigError(
                    f"{self.path} is empty: delete it, and where no other key is known "
                    "make one by `telebot keys create NAME --scope admin`"
                )
            await self._keep("first admin key", secret, "generated")
            return
        if await others():
            return
        secret = new_secret()
        _write_secret(self.path, secret)  # first: one that is kept nowhere opens nothing
        await self._keep("first admin key", secret, "generated")
        log.info("admin_key_written", path=str(self.path))

    def renewed(self, old_hash: str, secret: str) -> None:
        """A key gets a new secret: the file keeps up, or the old one would be taken for a new key
        at the next start."""
        if self.is_set or not self.path.exists():
            return
        if digest(self.path.read_text(encoding="utf-8").strip()).hex() != old_hash:
            return
        fresh = self.path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        _write_secret(fresh, secret)
        fresh.replace(self.path)

    async def _from_environment(self, secret: str) -> None:
        if len(secret) > MAX_KEY_CHARS or not secret.isprintable() or " " in secret:
            raise ConfigError("TELEBOT_ADMIN_KEY: write 16 to 512 printable characters, no spaces")
        if len(secret) < 16:
            log.warning("admin_key_short", hint="TELEBOT_ADMIN_KEY should have 16 characters")
        async with self._store.changing() as connection:  # the one of an earlier start is replaced
            earlier = api_keys.c.source == "environment"
            other = api_keys.c.hash != digest(secret).hex()
            await connection.execute(delete(api_keys).where(earlier, other))
        await self._keep("TELEBOT_ADMIN_KEY", secret, "environment")

    async def _keep(self, name: str, secret: str, source: str) -> None:
        mine = digest(secret).hex()
        async with self._store.changing() as connection:
            either = or_(api_keys.c.hash == mine, api_keys.c.previous_hash == mine)
            row = (await connection.execute(select(api_keys.c.revoked_at).where(either))).first()
            if row is not None:
                if row.revoked_at is not None:
                    log.warning("admin_key_revoked", source=source)
                return
            values = new_row(name, secret, ADMIN, source, self._now())
            await connection.execute(insert(api_keys).values(values))


def new_secret() -> str:
    return f"tb_{secrets.token_urlsafe(32)}"


def digest(secret: str) -> bytes:
    # the secrets are random, 256 bits: a slow hash would add nothing
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def new_row(name: str, secret: str, scope: str, source: str, now: datetime) -> dict[str, Any]:
    """A key as its table has it."""
    return {
        "id": secrets.token_hex(6),
        "name": clean(name, NAME_CHARS),
        "scope": scope,
        "hash": digest(secret).hex(),
        "source": source,
        "created_at": now,
    }


def _write_secret(path: Path, secret: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(secret + "\n")
    except OSError:
        path.unlink()  # a disk that is full takes names, not data
        raise
