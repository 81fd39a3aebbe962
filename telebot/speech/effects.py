"""The work of one call: what must happen in order, done by the call's own task, and what may take
its time beside it.

What has to go through the pipeline is asked for on the event loop (`do`) and done one after
another. The task is the call's only own one, and the boundary for its faults.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog

START_S = 8.0  # a vendor that cannot be connected to by then is given up
log = structlog.get_logger()

Effect = Callable[[], Awaitable[None]]


class Effects:
    """One call's. `start` once; `cancel` once, and wait for what that returns."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Effect] = asyncio.Queue()
        self._runner: asyncio.Task[None] | None = None
        self._beside: set[asyncio.Task[None]] = set()

    def start(
        self,
        ready: Callable[[], Awaitable[None]],
        *,
        call_id: str,
        late: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        """Begin once `ready` returns; `late` is called where that takes too long, `failed` when an
        effect raised."""
        run = self._run(ready, call_id, late, failed)
        self._runner = asyncio.create_task(run, name="conversation effects")

    def do(self, effect: Effect) -> None:
        """Have `effect` done by the call's own task, after what was asked for before."""
        self._queue.put_nowait(effect)

    def beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Have `work` done beside the call's own task; it ends with the call at the latest."""
        task = asyncio.create_task(work, name=name)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    def cancel(self) -> list[asyncio.Task[None]]:
        """Do no more. The tasks that are ending, to be waited for."""
        own = [task for task in (self._runner, *self._beside) if task is not None]
        for task in own:
            task.cancel()
        return own

    async def _run(
        self,
        ready: Callable[[], Awaitable[None]],
        call_id: str,
        late: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        try:
            async with asyncio.timeout(START_S):
                await ready()  # before that nothing may be pushed into the pipeline
        except TimeoutError:
            log.error("pipeline did not start", call_id=call_id)
            late()
        while True:
            effect = await self._queue.get()
            try:
                await effect()
            except Exception:  # the boundary of the call's own task
                log.exception("call failed", call_id=call_id)
                failed()
