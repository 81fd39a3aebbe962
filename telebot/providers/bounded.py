"""Things kept within a bound of bytes; what was not used for longest goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Values and their bytes, the one used last at the end."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._values: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def get(self, key: str) -> T | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: str, value: T, size_bytes: int) -> list[str]:
        """Returns the keys that had to go for it; this one alone where it could never fit."""
        self.pop(key)
        if size_bytes > self._limit_bytes:
            return [key]
        self._values[key] = (value, size_bytes)
        self.size_bytes += size_bytes
        gone = []
        while self.size_bytes > self._limit_bytes:
            oldest = next(iter(self._values))
            self.pop(oldest)
            gone.append(oldest)
        return gone

    def pop(self, key: str) -> None:
        _, size_bytes = self._values.pop(key, (None, 0))
        self.size_bytes -= size_bytes
