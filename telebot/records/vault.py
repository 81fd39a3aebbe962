"""Providers' keys that users bring: encrypted, each bound to its owner, masked everywhere.

AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce; the owner, the provider and the row's id
are authenticated with it, so a row copied under another owner does not open. The vault's own key
may be several, separated by commas: the first one encrypts, any of them decrypts, so that a key is
changed without a stop (`reseal`). Next: `api/voice/config.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Executable, Row, Select, delete, insert, select, update

from telebot.call.errors import ConfigError, Local
from telebot.call.ports import Clock, WallClock
from telebot.records.audit import entry
from telebot.records.remembered import Remembered
from telebot.records.rows import clean
from telebot.records.store import Store
from telebot.records.tables import NAME_CHARS, audit, provider_keys

KEY_BYTES, NONCE_BYTES = 32, 12
MAX_SECRET_CHARS = 4096
MOST_KEYS = 100  # of one owner
FRESH_S = 2.0  # a key that another server or process takes away counts after this, as API keys do
MOST_READ = 10_000  # owners whose rows are in memory
SHOWN = 4  # last characters of a key that may be seen


class SealedElsewhere(Local):
    """A stored key that none of the vault's keys opens."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A provider's key without its secret. `masked` shows its end (``…wxyz``). `fallback`: used
    after the house's own; `allowed_models` empty: any."""

    id: str
    owner: str
    provider: str
    label: str
    masked: str
    position: int
    fallback: bool
    allowed_models: tuple[str, ...]
    created_at: datetime
    updated_at: datetime

    def allows(self, model: str) -> bool:
        return not self.allowed_models or model in self.allowed_models


@dataclass(frozen=True, slots=True)
class Opened:
    """A stored key with its secret."""

    key: StoredKey
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Brought:
    """A provider's key as it is to be; without a `secret` the one that is there keeps its own."""

    owner: str
    provider: str
    label: str
    position: int
    fallback: bool
    allowed_models: tuple[str, ...]
    secret: str | None = field(default=None, repr=False)

    @property
    def name(self) -> tuple[str, str, str]:
        """No two keys have the same one."""
        return (self.owner, self.provider, self.label)


class Vault:
    """Keeps providers' keys. `keys` are the vault's own, 32 bytes each, the first one in use."""

    def __init__(
        self,
        store: Store,
        keys: Sequence[bytes],
        now: WallClock,
        clock: Clock = time.monotonic,
    ) -> None:
        self._store = store
        # sealed, as they are kept
        self._read = Remembered[str, Sequence[Row[Any]]](self._rows, clock, FRESH_S, most=MOST_READ)
        self._now = now
        self._ciphers = {_name(key): AESGCM(key) for key in keys}
        self._sealing = _name(keys[0])

    async def put(
        self,
        owner: str,
        provider: str,
        secret: str,
        *,
        label: str = "",
        fallback: bool = False,
        allowed_models: Sequence[str] = (),
        position: int = 0,
    ) -> StoredKey:
        """Keep a key; one of the same owner, provider and label is replaced. Raises `Local` where
        the owner has too many."""
        row_id, now = secrets.token_hex(8), self._now()
        provider, label = clean(provider, NAME_CHARS), clean(label, NAME_CHARS)
        async with self._store.changing() as connection:
            known = [_stored(row) for row in await connection.execute(_of(owner))]
            same = [key for key in known if (key.provider, key.label) == (provider, label)]
            if not same and len(known) >= MOST_KEYS:
                raise Local(f"at most {MOST_KEYS} stored keys")
            values: dict[str, Any] = {
                "id": row_id,
                "owner": owner,
                "provider": provider,
                "label": label,
                "masked": _masked(secret),
                "position": position,
                "fallback": fallback,
                "allowed_models": orjson.dumps(list(allowed_models)).decode(),
                "created_at": same[0].created_at if same else now,
                "updated_at": now,
                **self._sealed(secret, owner, provider, row_id),
            }
            for old in same:
                await connection.execute(delete(provider_keys).where(provider_keys.c.id == old.id))
            await connection.execute(insert(provider_keys).values(values))
            told = {"provider": provider, "label": label}
            await connection.execute(entry(owner, now, "provider_key_stored", told))
            stored = next(
                _stored(row) for row in await connection.execute(_of(owner)) if row.id == row_id
            )
        self._read.forget(owner)
        return stored

    async def held(self, owner: str) -> list[StoredKey]:
        """An owner's keys, in the order in which they are tried."""
        return [_stored(row) for row in await self._rows(owner)]

    async def delete(self, owner: str, key_id: str) -> bool:
        """False where the owner has no such key."""
        mine = (provider_keys.c.id == key_id, provider_keys.c.owner == owner)
        async with self._store.changing() as connection:
            done = await connection.execute(delete(provider_keys).where(*mine))
            if done.rowcount:
                told = entry(owner, self._now(), "provider_key_deleted", {"id": key_id})
                await connection.execute(told)
        self._read.forget(owner)
        if done.rowcount:
            await self._store.scrub()
        return done.rowcount == 1

    async def open(self, owner: str) -> list[Opened]:
        """An owner's keys with their secrets, as they stood at most `FRESH_S` ago: every request
        asks, and another server of the same database may have taken one away. Raises
        `SealedElsewhere`."""
        rows = await self._read.get(owner)
        return [Opened(_stored(row), self._secret(row)) for row in rows]

    async def reseal(self) -> int:
        """Encrypt every row anew that another than the first key has sealed; returns how many."""
        done = 0
        async with self._store.changing(large=True) as connection:
            for row in (await connection.execute(select(provider_keys))).all():
                if row.sealed_by == self._sealing:
                    continue
                sealed = self._sealed(self._secret(row), row.owner, row.provider, row.id)
                mine = provider_keys.c.id == row.id
                await connection.execute(update(provider_keys).where(mine).values(**sealed))
                done += 1
        return done

    async def every(self) -> list[StoredKey]:
        """The keys of all owners."""
        order = (provider_keys.c.owner, provider_keys.c.position, provider_keys.c.id)
        async with self._store.reading() as connection:
            rows = await connection.execute(select(provider_keys).order_by(*order))
            return [_stored(row) for row in rows]

    def statements(self, wanted: Brought, row: Row[Any] | None) -> list[Executable]:
        """What makes the key of a row (None: there is none) the wanted one; nothing where it is."""
        now, secret = self._now(), wanted.secret
        if row is not None and (secret is None or self._opens_as(row, secret)):
            secret = None
            same = (wanted.position, wanted.fallback, wanted.allowed_models)
            known = _stored(row)
            if same == (known.position, known.fallback, known.allowed_models):
                return []
        row_id = secrets.token_hex(8) if row is None else str(row.id)
        values: dict[str, Any] = {
            "position": wanted.position,
            "fallback": wanted.fallback,
            "allowed_models": orjson.dumps(list(wanted.allowed_models)).decode(),
            "updated_at": now,
        }
        if secret is not None:
            values |= self._sealed(secret, wanted.owner, wanted.provider, row_id)
            values["masked"] = _masked(secret)
        if row is not None:
            mine = provider_keys.c.id == row_id
            return [update(provider_keys).where(mine).values(**values)]
        owner, provider, label = wanted.name
        named = {"id": row_id, "owner": owner, "provider": provider, "label": label}
        return [insert(provider_keys).values(created_at=now, **named, **values)]

    def _opens_as(self, row: Row[Any], secret: str) -> bool:
        try:
            return self._secret(row) == secret
        except SealedElsewhere:
            return False

    def refresh(self) -> None:
        """Read everything anew: it was changed past this object."""
        self._read.forget_all()

    async def audited(self, limit: int) -> list[dict[str, Any]]:
        """The newest changes first."""
        query = select(audit).order_by(audit.c.at.desc(), audit.c.id).limit(limit)
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
        return [
            {"at": row.at, "key_id": row.key_id, "action": row.action}
            | {"fields": orjson.loads(row.fields)}
            for row in rows
        ]

    async def _rows(self, owner: str) -> Sequence[Row[Any]]:
        async with self._store.reading(quick=True) as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(_of(owner))).all()
        return rows

    def _sealed(self, secret: str, owner: str, provider: str, row_id: str) -> dict[str, str]:
        nonce = secrets.token_bytes(NONCE_BYTES)
        bound = _bound(owner, provider, row_id)
        sealed = self._ciphers[self._sealing].encrypt(nonce, secret.encode(), bound)
        return {
            "sealed": base64.b64encode(nonce + sealed).decode(),
            "sealed_by": self._sealing,
        }

    def _secret(self, row: Row[Any]) -> str:
        cipher = self._ciphers.get(row.sealed_by)
        try:
            data = base64.b64decode(row.sealed, validate=True)
            if cipher is None:
                raise InvalidTag
            bound = _bound(row.owner, row.provider, row.id)
            return cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise SealedElsewhere(
                f"the stored key {row.id} of {row.provider} does not open: was TELEBOT_VAULT_KEY "
                "changed? Name the old one after the new one, with a comma"
            ) from None


def vault_keys(text: str) -> list[bytes]:
    """The vault's own keys as they are written: each 32 bytes in base64 (also its form for URLs)
    or 64 hexadecimal digits, separated by commas. Raises `ConfigError`."""
    found = [_key(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise ConfigError("TELEBOT_VAULT_KEY is empty")
    return found


def _key(text: str) -> bytes:
    try:
        hexadecimal = len(text) == 2 * KEY_BYTES
        padded = text.replace("-", "+").replace("_", "/") + "=" * (-len(text) % 4)
        key = bytes.fromhex(text) if hexadecimal else base64.b64decode(padded, validate=True)
    except (ValueError, binascii.Error):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(
            "TELEBOT_VAULT_KEY: write 32 random bytes in base64 (openssl rand -base64 32), several "
            "with commas"
        )
    return key


def _name(key: bytes) -> str:
    """Tells the vault's keys apart, and nothing of them."""
    return hashlib.sha256(b"telebot vault key" + key).hexdigest()[:16]


def _of(owner: str) -> Select[Any]:
    """An owner's keys, in the order in which they are tried."""
    order = (provider_keys.c.position, provider_keys.c.created_at, provider_keys.c.id)
    return select(provider_keys).where(provider_keys.c.owner == owner).order_by(*order)


def _bound(owner: str, provider: str, row_id: str) -> bytes:
    return orjson.dumps([owner, provider, row_id])


def _masked(secret: str) -> str:
    return f"…{secret[-SHOWN:]}" if len(secret) >= 4 * SHOWN else "…"


def _stored(row: Row[Any]) -> StoredKey:
    return StoredKey(
        row.id,
        row.owner,
        row.provider,
        row.label,
        row.masked,
        row.position,
        row.fallback,
        tuple(orjson.loads(row.allowed_models)),
        row.created_at,
        row.updated_at,
    )
