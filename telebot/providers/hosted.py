"""A Pipecat service that works for a chain instead of standing in the pipeline's row.

The chain gives it frames and gets every frame that it pushes, in either direction; so a service can
be started when it is needed, and dropped when it fails, while the pipeline stays as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import Awaitable, Callable

import structlog
from pipecat.frames.frames import CancelFrame, ErrorFrame, Frame, StartFrame
from pipecat.processors.frame_processor import (
    FrameCallback,
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from telebot.call.errors import ProviderError

DOWN = FrameDirection.DOWNSTREAM
STOP_S = 3.0
log = structlog.get_logger()

Take = Callable[[Frame], Awaitable[None]]


class _End(FrameProcessor):
    """What stands before and behind the service, and hands on what arrives as it arrives."""

    def __init__(self, take: Take) -> None:
        super().__init__(enable_direct_mode=True)
        self._take = take

    async def queue_frame(
        self,
        frame: Frame,
        direction: FrameDirection = DOWN,
        callback: FrameCallback | None = None,
    ) -> None:
        await self._take(frame)
        if callback is not None:
            await callback(self, frame, direction)


class Hosted:
    """One service, `start`ed once and `stop`ped once. `take` gets what it pushes, but the frames of
    its own start and end."""

    def __init__(self, service: FrameProcessor, take: Take) -> None:
        self.service = service
        self._take = take
        self._up = asyncio.Event()
        self._ends = (_End(self._pushed), _End(self._pushed))
        self._row = (self._ends[0], service, self._ends[1])
        self._begun = self._stopped = False
        self._error: ErrorFrame | None = None

    async def start(self, setup: FrameProcessorSetup, frame: StartFrame) -> None:
        """Set the service up and start it: it is connected when this returns, as far as it connects
        before its first work. Raises ProviderError where it reports an error instead."""
        self._ends[0].link(self.service)
        self.service.link(self._ends[1])
        counting = dataclasses.replace(setup, enable_usage_metrics=True)
        for each in self._row:
            await each.setup(counting)
        if self._error is None:
            self._begun = True
            await self.service.queue_frame(frame, DOWN)
            await self._up.wait()
        if self._error is not None:
            raise ProviderError(self._error.error) from self._error.exception

    @property
    def up(self) -> bool:
        """It has started, without an error."""
        return self._up.is_set() and self._error is None and not self._stopped

    @property
    def error(self) -> ErrorFrame | None:
        """What it reported while it started."""
        return self._error

    async def feed(self, frame: Frame, direction: FrameDirection = DOWN) -> None:
        """Give the service a frame."""
        if not self._stopped:
            await self.service.queue_frame(frame, direction)

    async def feed_through(self, frame: Frame, timeout_s: float) -> None:
        """Give it a frame and wait until it has dealt with it. Raises TimeoutError."""
        dealt = asyncio.Event()

        async def done(*_: object) -> None:
            dealt.set()

        if not self._stopped:
            await self.service.queue_frame(frame, DOWN, done)
            async with asyncio.timeout(timeout_s):
                await dealt.wait()

    async def stop(self) -> None:
        """End the service and everything it has open. Idempotent; bounded in time."""
        if self._stopped:
            return
        self._stopped = True
        self._up.set()
        cancelled = asyncio.Event()

        async def done(*_: object) -> None:
            cancelled.set()

        try:
            async with asyncio.timeout(STOP_S):
                await self.service.queue_frame(CancelFrame(), DOWN, done)
                if self._begun:
                    await cancelled.wait()  # its own tasks end there, not in its clean-up
        except TimeoutError:
            log.warning("provider does not stop", provider=self.service.name)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_S):
                await asyncio.gather(*(_cleaned(each) for each in self._row))

    async def _pushed(self, frame: Frame) -> None:
        if isinstance(frame, StartFrame):
            self._up.set()
        elif isinstance(frame, ErrorFrame) and not self._up.is_set():
            self._error = frame
            self._up.set()
        elif not self._stopped and not isinstance(frame, CancelFrame):
            await self._take(frame)


async def _cleaned(processor: FrameProcessor) -> None:
    await processor.cleanup()  # type: ignore[no-untyped-call]
