"""Sounds that were made for an owner, kept for that owner alone, where it is wanted.

A request is found again by all that shapes its sound. Neither the text nor who it belongs to stands
in what is kept, only digests; but the sound itself does, so nothing is kept that nobody asked to be
kept. Bounds are `kept_files.py`'s, and an age.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from telebot.call.ports import WallClock
from telebot.providers.clip_cache import CacheStats
from telebot.providers.kept_files import KeptFiles

SUFFIX = ".sound"
MOST_BYTES = 8 << 20  # of one
OWNER_CHARS = 32
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class KeptSound:
    """A whole file as it was answered, and who spoke it (an offer's name)."""

    body: bytes
    media_type: str
    rate_hz: int
    provider: str


class KeptSounds:
    """`open` before use, `close` at the end. `days` is how old one may become."""

    def __init__(self, files: KeptFiles, now: WallClock, *, days: float) -> None:
        self._files = files
        self._now = now
        self._most_age_s = days * DAY_S
        self._hits = self._misses = 0

    async def open(self) -> None:
        """Find out what is kept in the folder."""
        await self._files.open()

    async def close(self) -> None:
        """Wait for what is being written."""
        await self._files.close()

    async def find(self, owner: str, user: str, wish: Mapping[str, Any]) -> KeptSound | None:
        """What was kept of the same wish of the same owner, for the same of its users."""
        name = _name(owner, user, wish)
        raw = await self._files.get(name)
        found = None if raw is None else self._unpacked(raw)
        if raw is not None and found is None:  # spoilt, or too old
            await self._files.drop(name)
        self._hits += found is not None
        self._misses += found is None
        return found

    def put(self, owner: str, user: str, wish: Mapping[str, Any], sound: KeptSound) -> None:
        """Keep a sound that was answered whole."""
        head = orjson.dumps(
            [self._now().timestamp(), sound.media_type, sound.rate_hz, sound.provider]
        )
        digest = hashlib.sha256(sound.body).digest()
        packed = b"".join((len(head).to_bytes(4, "big"), head, digest, sound.body))
        self._files.put(_name(owner, user, wish), packed)

    async def forget(self, owner: str, user: str | None = None) -> int:
        """Keep nothing of an owner any longer, or of one of its users. How many it were."""
        start = _digest(owner)[: OWNER_CHARS // 2]
        start += "" if user is None else _digest(user)[: OWNER_CHARS // 2]
        names = [name for name in self._files.names() if name.startswith(start)]
        await self._files.drop(*names)
        return len(names)

    def stats(self) -> CacheStats:
        """Sounds asked for and found or not; sounds and bytes kept."""
        return CacheStats(self._hits, self._misses, len(self._files), self._files.size_bytes)

    def _unpacked(self, raw: bytes) -> KeptSound | None:
        try:
            size = 4 + int.from_bytes(raw[:4], "big")
            at, media_type, rate_hz, provider = orjson.loads(raw[4:size])
            digest, body = raw[size : size + 32], raw[size + 32 :]
            fits = hashlib.sha256(body).digest() == digest
            young = 0 <= self._now().timestamp() - float(at) <= self._most_age_s
        except (ValueError, TypeError):
            return None
        return (
            KeptSound(body, str(media_type), int(rate_hz), str(provider))
            if fits and young
            else None
        )


def _name(owner: str, user: str, wish: Mapping[str, Any]) -> str:
    """Owner, user and wish, so that all of one owner, or of one user, is found."""
    parts = (_digest(owner)[: OWNER_CHARS // 2], _digest(user)[: OWNER_CHARS // 2])
    asked = orjson.dumps(wish, option=orjson.OPT_SORT_KEYS)
    return "".join(parts) + hashlib.sha256(asked).hexdigest()[:48]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
