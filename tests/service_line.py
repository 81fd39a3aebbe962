"""A pipeline to put one provider service into, and a sink that keeps what comes out of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipecat.frames.frames import Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.workers.base_worker import WorkerParams


class Sink(FrameProcessor):
    """The end of the line: keeps every frame that arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.arrived = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self.arrived.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[Frame]) -> list[Frame]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def wait_for(self, kind: type[Frame], count: int = 1) -> list[Frame]:
        """Until `count` frames of `kind` have arrived (at most 20 s)."""
        async with asyncio.timeout(60):
            while len(self.of(kind)) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return self.of(kind)


@dataclass
class Line:
    worker: PipelineWorker
    sink: Sink
    started: asyncio.Event = field(default_factory=asyncio.Event)


def served(task: asyncio.Task[object]) -> bool:
    """A connection that a server of the test keeps open (HTTP's or gRPC's)."""
    name = getattr(task.get_coro(), "__qualname__", "")
    return task.get_name() == "rpc_task" or "RequestHandler" in name or "AioServer" in name


@asynccontextmanager
async def running(*processors: FrameProcessor) -> AsyncIterator[Line]:
    """A started pipeline of `processors`; cancelled at the end, which must leave no task."""
    before = asyncio.all_tasks()
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([*processors, sink]),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
    )
    line = Line(worker, sink)

    async def started(_worker: PipelineWorker, _frame: Frame) -> None:
        line.started.set()

    worker.add_event_handler("on_pipeline_started", started)
    run = asyncio.create_task(worker.run(WorkerParams(task_manager=TaskManager())))
    await line.started.wait()
    try:
        yield line
    finally:
        await worker.cancel(reason="test over")
        await run
    for _ in range(50):  # what has been cancelled may need a moment of its own to end
        left = [task for task in asyncio.all_tasks() - before if not served(task)]
        if not left:
            return
        await asyncio.sleep(0.01)
    assert not left, left
