"""What one call's media brings, on its way to the call: the queue and the media task.

`rtp.py` and `caller.py` put in audio, keys and marks as they come; the sink takes them one after
another in its own time.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from collections.abc import Callable

import structlog

from telebot.call.events import MediaSink
from telebot.sip.caller import KEY

MOST_WAITING = 512  # pieces of caller audio that a slow sink may leave
KEPT_BEFORE = 100  # of them are kept until there is a sink (2 s)

log = structlog.get_logger(__name__)


class Feeding:
    """One call's. `junk` counts what the sink was too slow for; `failed` is called when the sink
    raised."""

    def __init__(self, junk: Counter[str], failed: Callable[[], None]) -> None:
        self._junk = junk
        self._failed = failed
        self._queue: deque[tuple[bytes | str, int]] = deque(maxlen=MOST_WAITING)
        self._wake: asyncio.Future[None] | None = None
        self._sink: MediaSink | None = None
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    def put(self, what: bytes | str, at_ms: int) -> None:
        """For the sink: audio and its time in ms, a key and `KEY`, a mark's name and `MARK`."""
        if len(self._queue) == MOST_WAITING:
            self._junk["unheard"] += 1
        self._queue.append((what, at_ms))
        if (wake := self._wake) is not None and not wake.done():
            wake.set_result(None)

    def begin(self, sink: MediaSink) -> None:
        """From now on to `sink`, the last two seconds first; also instead of the one before."""
        while len(self._queue) > KEPT_BEFORE:
            self._queue.popleft()
        self._sink = sink
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._feed())

    def stop(self) -> None:
        """Nothing goes to the sink any more, but what it is being given."""
        self._closed = True

    async def close(self) -> None:
        """Wait until it has been given that. Also called by the sink itself."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def let_go(self) -> None:
        """Know nobody any more."""
        self._sink = None
        self._failed = _nothing

    async def _feed(self) -> None:
        """The call's media task."""
        queue, loop = self._queue, asyncio.get_running_loop()
        try:
            while not self._closed:
                while queue and (sink := self._sink) is not None:
                    what, at_ms = queue.popleft()
                    if isinstance(what, bytes):
                        await sink.audio(what, at_ms)
                    elif at_ms == KEY:
                        await sink.digit(what)
                    else:
                        await sink.played(what)
                self._wake = loop.create_future()
                await self._wake
        except Exception:  # the boundary of the call's media task
            log.exception("media_failed")
            self._failed()


def _nothing() -> None:
    pass
