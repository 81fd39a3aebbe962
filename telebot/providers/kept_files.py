"""Bytes that are kept by name: the most used in memory, all of them in a folder, both within a
bound; what was not used for longest goes first.

What the bytes are is known to who keeps them: `kept_voice.py` (sentences of calls), and
`voice/kept_sounds.py` (sounds of `/v1/voice`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import structlog

from telebot.providers.bounded import Bounded

log = structlog.get_logger()


class KeptFiles:
    """`open` before use, `close` at the end. Belongs to the event loop; files are read and written
    in threads. Without a folder it keeps in memory alone. Names are those of files without their
    `suffix`."""

    def __init__(
        self, folder: Path | None, *, suffix: str, memory_bytes: int, disk_bytes: int
    ) -> None:
        self._folder = folder if disk_bytes else None
        self._suffix = suffix
        self._memory: Bounded[bytes] = Bounded(memory_bytes)
        self._files: Bounded[None] = Bounded(disk_bytes)
        self._used: OrderedDict[str, None] = OrderedDict()  # since the start, in this order
        self._work: set[asyncio.Task[None]] = set()
        self._writing: dict[str, bytes] = {}
        self._numbers = itertools.count()

    async def open(self) -> None:
        """Find out what is kept in the folder."""
        if self._folder is None:
            return
        gone: list[str] = []
        for key, size in await asyncio.to_thread(listed, self._folder, self._suffix):
            gone += self._files.put(key, None, size)
        await asyncio.to_thread(self._unlink, gone)

    async def close(self) -> None:
        """Wait for what is being kept; the files know the order in which they were used."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)
        await asyncio.to_thread(self._touch, [key for key in self._used if key in self._files])

    def __contains__(self, key: str) -> bool:
        return key in self._memory or key in self._files

    def __len__(self) -> int:
        return len(self._largest)

    @property
    def size_bytes(self) -> int:
        return self._largest.size_bytes

    async def get(self, key: str) -> bytes | None:
        """What is kept under this name."""
        data = self._memory.get(key)
        if data is None and key in self._files:
            data = await asyncio.to_thread(self._read, key)
            if data is None:  # gone: it will be made again
                self._files.pop(key)
                self._used.pop(key, None)
            else:
                self._memory.put(key, data, len(data))
        if data is not None:
            self._files.get(key)
            self._note_use(key)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Keep it, in place of what was there."""
        self._memory.put(key, data, len(data))
        self._note_use(key)
        if self._folder is not None:
            self._writing[key] = data
            self.later(self._write(key, data))

    async def drop(self, *keys: str) -> None:
        """Keep these no longer."""
        for key in keys:
            self._writing.pop(key, None)
            self._memory.pop(key)
            self._files.pop(key)
            self._used.pop(key, None)
        if self._folder is not None:
            await asyncio.to_thread(self._unlink, keys)

    def names(self) -> set[str]:
        """Of all that is kept, or is being written."""
        return {*self._memory, *self._files, *self._writing}

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls, which may end before it; `close` waits for it."""
        task = asyncio.create_task(work, name="kept files")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    @property
    def _largest(self) -> Bounded[bytes] | Bounded[None]:
        return self._memory if self._folder is None else self._files

    def _note_use(self, key: str) -> None:
        if self._folder is not None:
            self._used[key] = None
            self._used.move_to_end(key)

    def _read(self, key: str) -> bytes | None:
        try:
            return self._path(key).read_bytes()
        except OSError:
            return None

    async def _write(self, key: str, data: bytes) -> None:
        try:
            await asyncio.to_thread(self._save, key, data)
        except OSError as error:
            log.warning("voice not kept", error=str(error))
            self._writing.pop(key, None)
            self._used.pop(key, None)
            return
        if self._writing.pop(key, None) is None:  # dropped meanwhile
            await asyncio.to_thread(self._unlink, [key])
            return
        gone = self._files.put(key, None, len(data))
        for each in gone:
            self._used.pop(each, None)
        await asyncio.to_thread(self._unlink, gone)

    def _save(self, key: str, data: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}-{next(self._numbers)}.part")
        try:
            partial.write_bytes(data)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)

    def _unlink(self, keys: Sequence[str]) -> None:
        for key in keys:
            with contextlib.suppress(OSError):
                self._path(key).unlink()

    def _touch(self, keys: Sequence[str]) -> None:
        for key in keys:
            with contextlib.suppress(OSError):
                os.utime(self._path(key))

    def _path(self, key: str) -> Path:
        return (self._folder or Path()) / f"{key}{self._suffix}"


def listed(folder: Path, suffix: str) -> list[tuple[str, int]]:
    """Names and sizes, the one used last at the end; what a crash left half-written is removed."""
    found: list[tuple[int, str, int]] = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix == ".part":
                    path.unlink()
                elif path.suffix == suffix:
                    about = path.stat()
                    found.append((about.st_mtime_ns, path.stem, about.st_size))
    return [(name, size) for _, name, size in sorted(found)]
