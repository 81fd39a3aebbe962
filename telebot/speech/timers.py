"""Named timers of one call: one of a name at a time, all cancelled together at the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]  # as `asyncio.AbstractEventLoop.call_later`


class Timers:
    """`after` replaces a timer of the same name."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._timers: dict[str, Timer] = {}

    def after(self, name: str, delay_s: float, do: Callable[[], None]) -> None:
        self.cancel(name)
        self._timers[name] = self._later(delay_s, do)

    def cancel(self, *names: str) -> None:
        for name in names:
            timer = self._timers.pop(name, None)
            if timer is not None:
                timer.cancel()

    def close(self) -> None:
        """Cancel them all."""
        self.cancel(*list(self._timers))
