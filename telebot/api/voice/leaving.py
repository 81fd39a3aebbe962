"""Work that stops when who asked for it has gone, so that nobody pays for an answer to nobody.

aiohttp tells a handler of a lost connection only when it writes; work that answers once, at its
end, would go on till then, and a stream that waits for its next piece too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")
LOOK_S = 0.25


class Gone(ConnectionError):
    """Nobody is there to be answered."""


async def unless_gone(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Cancels it, and raises `Gone`, where the connection is lost meanwhile."""
    with while_there(request):
        return await work


@contextmanager
def while_there(request: web.Request) -> Iterator[None]:
    """Cancels the task of this block where the connection is lost meanwhile; the block then ends
    with `Gone`."""
    task = asyncio.current_task()
    assert task is not None
    watch = _Watch(request, task)
    watch.look()
    try:
        yield
    except asyncio.CancelledError:
        if watch.gone and task.uncancel() <= watch.asked_before:
            raise Gone("the connection is lost") from None
        raise
    finally:
        watch.end()


class _Watch:
    """Looks now and then whether the connection is there: a timer costs less than a task."""

    def __init__(self, request: web.Request, task: asyncio.Task[Any]) -> None:
        self._request = request
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.asked_before = task.cancelling()
        self.gone = False

    def look(self) -> None:
        transport = self._request.transport
        if self._timer is not None and (transport is None or transport.is_closing()):
            self.gone = True
            self._task.cancel()
            return
        self._timer = self._loop.call_later(LOOK_S, self.look)

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
