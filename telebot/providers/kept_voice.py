"""Sentences as a vendor's voice said them, kept so that nobody pays for them twice.

One `KeptVoice` serves the process, on the bounds of `kept_files.py`. Only sentences that an agent's
file holds as they are come here (`dialog/fixed.py`), so nothing of a caller does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from telebot.providers.clip_cache import CacheStats
from telebot.providers.kept_files import KeptFiles
from telebot.providers.spoken import Word

SUFFIX = ".said"


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence's audio, in the form of the line that the voice is named with, and its word times
    in seconds from its beginning."""

    audio: bytes
    words: tuple[Word, ...]


class KeptVoice:
    """`open` before use, `close` at the end. Without a folder it keeps in memory alone."""

    def __init__(self, folder: Path | None, *, memory_bytes: int, disk_bytes: int) -> None:
        self._kept = KeptFiles(
            folder, suffix=SUFFIX, memory_bytes=memory_bytes, disk_bytes=disk_bytes
        )
        self._hits = self._misses = 0

    async def open(self) -> None:
        """Find out what is kept in the folder."""
        await self._kept.open()

    async def close(self) -> None:
        """Wait for what is being kept; the files know the order in which they were used."""
        await self._kept.close()

    def has(self, voice: str, text: str) -> bool:
        """The sentence is kept in this voice."""
        return key_of(voice, text) in self._kept

    async def find(self, voices: Sequence[str], text: str) -> tuple[int, Said] | None:
        """The sentence in the first of these voices that has it, with the number of the voice.
        `voices` name each voice with all that shapes its sound."""
        for number, voice in enumerate(voices):
            key = key_of(voice, text)
            if (packed := await self._kept.get(key)) is None:
                continue
            if (said := _unpacked(packed, voice, text)) is not None:
                self._hits += 1
                return number, said
            await self._kept.drop(key)  # spoilt: it will be made again
        self._misses += 1
        return None

    def put(self, voice: str, text: str, said: Said) -> None:
        """Keep a sentence that was said whole."""
        self._kept.put(key_of(voice, text), _packed(voice, text, said))

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside the calls, which may end before it; `close` waits for it."""
        self._kept.later(work)

    def stats(self) -> CacheStats:
        """Sentences asked for and found or not; sentences and bytes kept."""
        return CacheStats(self._hits, self._misses, len(self._kept), self._kept.size_bytes)


def key_of(voice: str, text: str) -> str:
    """The name of a sentence in a voice."""
    return hashlib.sha256(f"{voice}\0{text}".encode()).hexdigest()[:32]


def _packed(voice: str, text: str, said: Said) -> bytes:
    words = [(word.start_s, word.end_s, word.text) for word in said.words]
    head = json.dumps({"voice": voice, "text": text, "words": words, "bytes": len(said.audio)})
    raw = head.encode()
    return len(raw).to_bytes(4, "big") + raw + said.audio


def _unpacked(raw: bytes, voice: str, text: str) -> Said | None:
    try:
        size = int.from_bytes(raw[:4], "big")
        head = json.loads(raw[4 : 4 + size])
        words = tuple(
            Word(float(start), float(end), str(word)) for start, end, word in head["words"]
        )
        fits = (head["voice"], head["text"], head["bytes"]) == (voice, text, len(raw) - 4 - size)
    except (ValueError, KeyError, TypeError):
        return None
    return Said(raw[4 + size :], words) if fits and len(raw) > 4 + size else None
