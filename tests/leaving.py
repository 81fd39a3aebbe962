"""What conversations in real time alone need is given back by a process that has none left."""

from __future__ import annotations

from collections.abc import Callable

_waiting: list[Callable[[], object]] = []


def when_left(do: Callable[[], object]) -> None:
    """Have `do` done when the last conversation of this process is over; it may be done again when
    the session ends."""
    _waiting.append(do)


def leave() -> None:
    """It is over."""
    while _waiting:
        _waiting.pop()()
