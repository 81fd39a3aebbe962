"""Work that stops when who asked for it has gone, so that nobody pays for an answer to nobody.

aiohttp tells a handler of a lost connection only when it writes; work that answers once, at its
end, would go on till then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from aiohttp import web

T = TypeVar("T")
LOOK_S = 0.25


class Gone(ConnectionError):
    """Nobody is there to be answered."""


async def unless_gone(request: web.Request, work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Cancels it, and raises `Gone`, where the connection is lost meanwhile."""
    task = asyncio.create_task(work)
    try:
        while True:
            await asyncio.wait({task}, timeout=LOOK_S)
            if task.done():
                return task.result()
            if request.transport is None or request.transport.is_closing():
                raise Gone("the connection is lost")
    finally:
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
