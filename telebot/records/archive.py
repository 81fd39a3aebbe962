"""The room's front door: everything of the records built, opened and closed in the right order.

`app.py` makes one `Archive`, hands its `log` and `recorder` to the core, its `reader` and `keys`
to the HTTP edge, and closes it last.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from telebot.call import local_access
from telebot.call.errors import ConfigError
from telebot.call.model import Call
from telebot.call.ports import Clock, WallClock
from telebot.records.choices import Choices
from telebot.records.comparing import Comparing
from telebot.records.cost import Price, built_in
from telebot.records.keys import Keys
from telebot.records.portable import Portable
from telebot.records.reading import CallReader
from telebot.records.recording import FileRecorder
from telebot.records.recovery import recover
from telebot.records.reports import Reports
from telebot.records.retention import Retention
from telebot.records.spending import Spending
from telebot.records.store import RecordsAway, Store
from telebot.records.vault import Vault, vault_keys
from telebot.records.writer import CallWriter
from telebot.settings import RecordsSettings

WRITTEN_S = 5.0


class Archive:
    """The records of one server. Build it, `await open()`, and `await close()` at the end.

    `wanted` says which calls are recorded (default: as `records.recording` says); `price` is what
    a unit of a provider costs (`cost.Price`); `admin_key` comes from ``TELEBOT_ADMIN_KEY``,
    `vault_key` from ``TELEBOT_VAULT_KEY``; without one it is made in the data folder. Raises
    `ConfigError` on one that is none."""

    def __init__(
        self,
        settings: RecordsSettings,
        data: Path,
        *,
        clock: Clock,
        now: WallClock,
        admin_key: str = "",
        vault_key: str = "",
        wanted: Callable[[Call], bool] | None = None,
        price: Price = built_in,
    ) -> None:
        self._data = data
        self._lock: BinaryIO | None = None
        self._server = _server_id(data)
        self._price = price
        self._currency = settings.currency
        self.store = Store(settings.database_url.get_secret_value(), data)
        self.log = CallWriter(
            self.store, data, self._server, now, price=price, currency=settings.currency
        )
        self.recorder = FileRecorder(
            data, wanted or (lambda _: settings.recording), self.log.recording, clock
        )
        self.reader = CallReader(self.store, data, self._server, settings.currency)
        self.vault = Vault(self.store, vault_keys_of(vault_key, data), now)
        self.choices = Choices(self.store, now, clock, self.written)
        self.comparing = Comparing(self.store)
        self.reports = Reports(self.store, settings.currency)
        self.spending = Spending(self.reports, self.written, clock, now, self.log.live_nanos)
        self.log.billed = self.spending.note
        self.keys = Keys(self.store, data, now, clock, used=self.log.key_used, admin_key=admin_key)
        self.portable = Portable(self.store, now, self.choices, self.keys, self.vault)
        self.retention = Retention(self.store, data, self._server, settings.retention_days, now)
        self._retention: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Migrate, close what a crash left open, and begin to write. Raises `ConfigError`, also
        where another telebot uses the data folder."""
        self._lock = _locked(self._data / "telebot.lock")
        await self.store.open()
        await self.log.start()
        await recover(self.store, self._data, self._server, self._price, self._currency)
        await self.keys.open()
        self._retention = asyncio.create_task(self.retention.run(), name="retention")

    async def written(self) -> None:
        """What was told so far can be read; later, where the database does not answer."""
        with suppress(RecordsAway, TimeoutError):
            async with asyncio.timeout(WRITTEN_S):  # who asks waits for it
                await self.log.flush()

    async def close(self) -> None:
        """Finish the recordings, write what waits, close the database."""
        if self._retention is not None:
            self._retention.cancel()
            await asyncio.gather(self._retention, return_exceptions=True)
            self._retention = None
        await self.recorder.close()
        await self.log.close()
        await self.store.close()
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def _server_id(data: Path) -> str:
    """This data folder's name among the servers of one database; the folder is made for it. Raises
    `ConfigError`."""
    path = data / "server-id"
    try:
        data.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.write_text(uuid4().hex, encoding="ascii")
        return path.read_text(encoding="ascii").strip()[:64]
    except OSError as error:
        raise ConfigError(
            f"{data}: cannot be the data folder: {error}; name another by --data"
        ) from None


def vault_keys_of(given: str, data: Path) -> list[bytes]:
    """The operator's, or the one made at the first start."""
    return vault_keys(given or local_access.load_secret(data, "vault.key"))


def _locked(path: Path) -> BinaryIO:
    file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise ConfigError(
            f"{path.parent}: another telebot uses this data folder; give this one its own by --data"
        ) from None
    return file
