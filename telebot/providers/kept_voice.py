"""Sentences as a vendor's voice said them, kept so that nobody pays for them twice.

One `KeptVoice` serves the process. The most used lie in memory, all of them in a folder, both
within a bound of bytes; what was not used for longest goes first. Only sentences that an agent's
file holds as they are come here (`dialog/fixed.py`), so nothing of a caller does.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
from collections import OrderedDict
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from telebot.providers.bounded import Bounded
from telebot.providers.clip_cache import CacheStats
from telebot.providers.spoken import Word

SUFFIX = ".said"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence's audio, 8 kHz mu-law, and its word times in seconds from its beginning."""

    ulaw: bytes
    words: tuple[Word, ...]


class KeptVoice:
    """`open` before use, `close` at the end. Belongs to the event loop; files are read and written
    in threads. Without a folder it keeps in memory alone."""

    def __init__(self, folder: Path | None, *, memory_bytes: int, disk_bytes: int) -> None:
        self._folder = folder if disk_bytes else None
        self._memory: Bounded[Said] = Bounded(memory_bytes)
        self._files: Bounded[None] = Bounded(disk_bytes)
        self._used: OrderedDict[str, None] = OrderedDict()  # since the start, in this order
        self._work: set[asyncio.Task[None]] = set()
        self._numbers = itertools.count()
        self._hits = self._misses = 0

    async def open(self) -> None:
        """Find out what is kept in the folder."""
        if self._folder is None:
            return
        gone: list[str] = []
        for key, size in await asyncio.to_thread(_listed, self._folder):
            gone += self._files.put(key, None, size)
        await asyncio.to_thread(self._unlink, gone)

    async def close(self) -> None:
        """Wait for what is being kept; the files know the order in which they were used."""
        while self._work:
            await asyncio.gather(*self._work, return_exceptions=True)
        await asyncio.to_thread(self._touch, [key for key in self._used if key in self._files])

    def has(self, voice: str, text: str) -> bool:
        """The sentence is kept in this voice."""
        key = key_of(voice, text)
        return key in self._memory or key in self._files

    async def find(self, voices: Sequence[str], text: str) -> tuple[int, Said] | None:
        """The sentence in the first of these voices that has it, with the number of the voice.
        `voices` name each voice with all that shapes its sound."""
        for number, voice in enumerate(voices):
            key = key_of(voice, text)
            said = self._memory.get(key)
            if said is None and key in self._files:
                said = await self._read(key, voice, text)
            if said is not None:
                self._hits += 1
                self._files.get(key)
                self._note_use(key)
                return number, said
        self._misses += 1
        return None

    def put(self, voice: str, text: str, said: Said) -> None:
        """Keep a sentence that was said whole."""
        key = key_of(voice, text)
        self._memory.put(key, said, len(said.ulaw))
        self._note_use(key)
        if self._folder is not None:
            self.later(self._write(key, _packed(voice, text, said)))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls, which may end before it; `close` waits for it."""
        task = asyncio.create_task(work, name="kept voice")
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def stats(self) -> CacheStats:
        """Sentences asked for and found or not; sentences and bytes kept."""
        largest = self._memory if self._folder is None else self._files
        return CacheStats(self._hits, self._misses, len(largest), largest.size_bytes)

    def _note_use(self, key: str) -> None:
        self._used[key] = None
        self._used.move_to_end(key)

    async def _read(self, key: str, voice: str, text: str) -> Said | None:
        said = await asyncio.to_thread(_unpacked, self._path(key), voice, text)
        if said is None:  # gone, or spoilt: it will be made again
            self._files.pop(key)
        else:
            self._memory.put(key, said, len(said.ulaw))
        return said

    async def _write(self, key: str, packed: bytes) -> None:
        try:
            await asyncio.to_thread(self._save, key, packed)
        except OSError as error:
            log.warning("voice not kept", error=str(error))
            return
        gone = self._files.put(key, None, len(packed))
        await asyncio.to_thread(self._unlink, gone)

    def _save(self, key: str, packed: bytes) -> None:
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}-{next(self._numbers)}.part")
        try:
            partial.write_bytes(packed)
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
        return (self._folder or Path()) / f"{key}{SUFFIX}"


def key_of(voice: str, text: str) -> str:
    """The name of a sentence in a voice."""
    return hashlib.sha256(f"{voice}\0{text}".encode()).hexdigest()[:32]


def _listed(folder: Path) -> list[tuple[str, int]]:
    """Names and sizes, the one used last at the end; what a crash left half-written is removed."""
    found: list[tuple[int, str, int]] = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            with contextlib.suppress(OSError):
                if path.suffix == ".part":
                    path.unlink()
                elif path.suffix == SUFFIX:
                    about = path.stat()
                    found.append((about.st_mtime_ns, path.stem, about.st_size))
    return [(name, size) for _, name, size in sorted(found)]


def _packed(voice: str, text: str, said: Said) -> bytes:
    words = [(word.start_s, word.end_s, word.text) for word in said.words]
    head = json.dumps({"voice": voice, "text": text, "words": words, "bytes": len(said.ulaw)})
    raw = head.encode()
    return len(raw).to_bytes(4, "big") + raw + said.ulaw


def _unpacked(path: Path, voice: str, text: str) -> Said | None:
    try:
        raw = path.read_bytes()
        size = int.from_bytes(raw[:4], "big")
        head = json.loads(raw[4 : 4 + size])
        words = tuple(
            Word(float(start), float(end), str(word)) for start, end, word in head["words"]
        )
        fits = (head["voice"], head["text"], head["bytes"]) == (voice, text, len(raw) - 4 - size)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Said(raw[4 + size :], words) if fits and len(raw) > 4 + size else None
