"""What the database said a moment ago: every request asks, and it changes seldom.

A read that several wait for is made once. What another server, or process, of the same database
changes counts after `fresh_s`; what this one changes is forgotten at once (`forget`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from telebot.call.ports import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Remembered(Generic[K, V]):
    """Answers of `read` by their keys, the last `most` of them. Belongs to the event loop."""

    def __init__(
        self, read: Callable[[K], Awaitable[V]], clock: Clock, fresh_s: float, *, most: int = 1
    ) -> None:
        self._read = read
        self._clock = clock
        self._fresh_s = fresh_s
        self._most = most
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._reading: dict[K, asyncio.Task[V]] = {}

    async def get(self, key: K) -> V:
        """The answer, at most `fresh_s` old. Raises what `read` raises."""
        now, known = self._clock(), self._kept.get(key)
        if known is not None and now - known[0] < self._fresh_s:
            return known[1]
        task = self._reading.get(key)
        if task is None:
            task = self._reading[key] = asyncio.create_task(self._fetched(key, now))
            task.add_done_callback(_told)
        return await asyncio.shield(task)  # who leaves takes nobody else's answer along

    def __len__(self) -> int:
        """How many answers are kept."""
        return len(self._kept)

    def forget(self, key: K) -> None:
        """It has changed. What is being read now is old already, and not kept."""
        self._kept.pop(key, None)
        self._reading.pop(key, None)

    def forget_all(self) -> None:
        """Everything may have changed."""
        self._kept.clear()
        self._reading.clear()

    async def _fetched(self, key: K, now: float) -> V:
        this = asyncio.current_task()
        try:
            value = await self._read(key)
            if self._reading.get(key) is this:
                self._kept[key] = (now, value)
                self._kept.move_to_end(key)
                if len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return value
        finally:
            if self._reading.get(key) is this:
                del self._reading[key]


def _told(task: asyncio.Task[V]) -> None:
    """Where everybody has left, nobody asks for its error."""
    if not task.cancelled():
        task.exception()
