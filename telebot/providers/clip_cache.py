"""Sentences that were already synthesised, within a bound of bytes."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from telebot.providers.voice import Clip

Key = tuple[str, int, str]  # voice, rate in Hz, sentence


@dataclass(frozen=True, slots=True)
class CacheStats:
    """Of the sentences asked for: found ready, synthesised, kept now, and their bytes."""

    hits: int
    misses: int
    entries: int
    size_bytes: int


class ClipCache:
    """Sentences already synthesised, least recently used dropped first. Belongs to one thread."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._clips: OrderedDict[Key, Clip] = OrderedDict()
        self._size_bytes = 0
        self._hits = 0
        self._misses = 0

    def get(self, key: Key) -> Clip | None:
        clip = self._clips.get(key)
        if clip is None:
            self._misses += 1
            return None
        self._hits += 1
        self._clips.move_to_end(key)
        return clip

    def put(self, key: Key, clip: Clip) -> None:
        old = self._clips.pop(key, None)
        self._size_bytes -= len(old.pcm16) if old else 0
        self._clips[key] = clip
        self._size_bytes += len(clip.pcm16)
        while self._size_bytes > self._limit_bytes:
            _, dropped = self._clips.popitem(last=False)
            self._size_bytes -= len(dropped.pcm16)

    def stats(self) -> CacheStats:
        return CacheStats(self._hits, self._misses, len(self._clips), self._size_bytes)
