"""sippy's dispatcher, made ours: it sleeps until its next timer or the next call from outside.

sippy wakes a hundred times a second by a C library of its own, which other threads interrupt by a
signal and which cannot be begun twice in a process. `Waker` stands in its place. Imported in
sippy's thread alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import structlog
from sippy.Core.EventDispatcher import ED2

LONGEST_SLEEP_S = 1.0
MOST_AT_ONCE = 64  # calls from outside between two looks at the timers

ED2.elp._hndl = None  # sippy's first clock is never freed: its library dies of that at exit

log = structlog.get_logger(__name__)


class Waker:
    """What sippy's dispatcher asks of its clock."""

    def __init__(self) -> None:
        self._calls: SimpleQueue[tuple[Callable[..., object], tuple[object, ...]]] = SimpleQueue()

    def call_from_thread(self, function: Callable[..., object], *arguments: object) -> None:
        """From any thread: have `function` called in the dispatcher's."""
        self._calls.put((function, arguments))

    def procrastinate(self) -> None:
        """Sleep, and make the calls that wait."""
        timers = ED2.tlisteners
        sleep_s = LONGEST_SLEEP_S
        if timers:
            # by sippy's own clock, which is not Python's: CLOCK_MONOTONIC_RAW runs away from
            # CLOCK_MONOTONIC by seconds a week, and a sleep too short is no sleep until it is due
            sleep_s = min(sleep_s, max(0.0, -timers[0].etime.offsetFromNow()))
        try:
            function, arguments = self._calls.get(timeout=sleep_s)
            for _ in range(MOST_AT_ONCE):
                _make(function, arguments)
                function, arguments = self._calls.get_nowait()
        except Empty:
            return
        _make(function, arguments)


def _make(function: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Make one call from outside. What it finds wrong is its own: the thread serves all calls."""
    try:
        function(*arguments)
    except Exception:  # the boundary of one call from outside
        log.exception("sip_step_failed", step=getattr(function, "__qualname__", str(function)))


def begin() -> Any:
    """The dispatcher for this very thread, with nothing left of an earlier one."""
    ED2.my_ident = threading.get_ident()
    ED2.elp = Waker()
    ED2.tlisteners, ED2.twasted, ED2.endloop = [], 0, False
    return ED2
