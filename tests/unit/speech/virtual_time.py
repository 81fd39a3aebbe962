"""An event loop, and a plain scheduler, on a clock that only tests move: nothing sleeps."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
START_S = 1000.0  # a monotonic clock never begins at zero
STUCK_S = 60.0  # of real time, for threads that something may wait for


class _JumpingSelector(selectors.DefaultSelector):
    """Where the loop would sleep, its clock jumps instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            ready = super().select(STUCK_S)
            if not ready:
                raise RuntimeError("nothing is left that could happen")
            return ready
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` is the virtual clock; timers fire at once, in their order."""

    now = START_S

    def __init__(self) -> None:
        selector = _JumpingSelector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """Wait for threads by their own time: from Python 3.13 on a limit is one of the loop's
        timers, which would fire at once."""
        await super().shutdown_default_executor()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a virtual clock to its end."""
    with asyncio.Runner(debug=True, loop_factory=VirtualLoop) as runner:
        return runner.run(work)


class Timer:
    def __init__(self, do: Callable[[], None]) -> None:
        self.do: Callable[[], None] | None = do

    def cancel(self) -> None:
        self.do = None


class Scheduler:
    """`later` and `clock` for logic that wants no event loop."""

    def __init__(self) -> None:
        self.now = START_S
        self._queue: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def clock(self) -> float:
        return self.now

    def later(self, delay_s: float, do: Callable[[], None]) -> Timer:
        timer = Timer(do)
        heapq.heappush(self._queue, (self.now + delay_s, next(self._numbers), timer))
        return timer

    @property
    def pending(self) -> int:
        return sum(timer.do is not None for _, _, timer in self._queue)

    def run(self, seconds: float) -> None:
        """Let time pass, with everything that falls due in it."""
        until = self.now + seconds
        while self._queue and self._queue[0][0] <= until:
            due, _, timer = heapq.heappop(self._queue)
            self.now = max(self.now, due)
            if timer.do is not None:
                timer.do()
        self.now = until
