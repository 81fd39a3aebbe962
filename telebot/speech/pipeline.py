"""One Pipecat pipeline from start to end: its task has one owner, who cancels it.

Runs a `PipelineWorker` without a `WorkerRunner`: a single-pipeline bot has no use for its bus (four
tasks a call), and a shared runner keeps every finished worker. Observers, RTVI and turn tracking
are off: each costs a task and a queue hop for every frame pushed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams

from telebot.audio.line import PHONE, Line

CANCEL_TIMEOUT_S = 5.0


class CallPipeline:
    """A running pipeline. `start` it once, `cancel` it once."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        on_started: Callable[[], Awaitable[None]] | None = None,
        on_error: Callable[[ErrorFrame], None] | None = None,
        line: Line = PHONE,
    ) -> None:
        self._started = asyncio.Event()
        self._on_started = on_started
        self._on_error = on_error
        self._task: asyncio.Task[None] | None = None
        self._worker = PipelineWorker(
            pipeline,
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
            check_dangling_tasks=False,
            cancel_timeout_secs=CANCEL_TIMEOUT_S,
            params=PipelineParams(
                audio_in_sample_rate=line.hears.rate_hz, audio_out_sample_rate=line.says.rate_hz
            ),
        )
        self._worker.add_event_handler("on_pipeline_started", self._pipeline_started)
        self._worker.add_event_handler("on_pipeline_error", self._pipeline_error)

    def start(self) -> None:
        run = self._worker.run(WorkerParams(task_manager=TaskManager()))
        self._task = asyncio.create_task(run, name="pipeline")

    async def started(self) -> None:
        """Returns once every processor has seen the StartFrame."""
        await self._started.wait()

    async def push(self, frame: Frame) -> None:
        """Put a frame in at the beginning."""
        await self._worker.queue_frame(frame)

    def when_over(self, do: Callable[[], None]) -> None:
        """Call `do` when the pipeline ends, for whatever reason."""
        if self._task is not None:
            self._task.add_done_callback(lambda _: do())

    async def cancel(self) -> None:
        """Stop everything and wait until nothing of it is left."""
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done():
            await self._worker.cancel(reason="call over")
        try:
            async with asyncio.timeout(2 * CANCEL_TIMEOUT_S):
                await asyncio.wait([task])
        except TimeoutError:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _pipeline_started(self, _worker: PipelineWorker, _frame: Frame) -> None:
        self._started.set()
        if self._on_started is not None:
            await self._on_started()

    async def _pipeline_error(self, _worker: PipelineWorker, frame: ErrorFrame) -> None:
        if self._on_error is not None:
            self._on_error(frame)
