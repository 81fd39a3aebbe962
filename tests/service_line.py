"""A pipeline to put one provider service into: it is fed speech or text, and what comes out and
which errors it tells is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMTextFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.utils.asyncio.task_manager import TaskManager
from pipecat.utils.errors import ErrorCategory
from pipecat.workers.base_worker import WorkerParams

from telebot.audio.line import PHONE
from telebot.audio.line import Line as CallLine
from telebot.providers.local_speech import LocalSpeech

CANARY = "bad-canary-0123456789abcdefghijklmnop"  # a key that is refused, and stands nowhere
SENTENCE = "The car park is behind the building."
RATE_HZ = 8000
PIECE = RATE_HZ // 25 * 2  # bytes: 40 ms of int16
STOP_S = 0.2  # of silence, until the VAD is sure
DOWN = FrameDirection.DOWNSTREAM


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
async def running(*processors: FrameProcessor, at: CallLine = PHONE) -> AsyncIterator[Line]:
    """A started pipeline of `processors`; cancelled at the end, which must leave no task."""
    before = asyncio.all_tasks()
    sink = Sink()
    worker = PipelineWorker(
        Pipeline([*processors, sink]),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
        params=PipelineParams(
            audio_in_sample_rate=at.hears.rate_hz, audio_out_sample_rate=at.says.rate_hz
        ),
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


class Errors(list[ErrorFrame]):
    """The errors of a service in their order, as the chain above it sees them."""

    def __init__(self, service: FrameProcessor) -> None:
        super().__init__()
        self._came = asyncio.Event()
        service.add_event_handler("on_error", self._keep)

    async def _keep(self, _: FrameProcessor, frame: ErrorFrame) -> None:
        self.append(frame)
        self._came.set()

    async def first(self) -> ErrorFrame:
        """The first, when it is there (at most 30 s); no part of a key stands in any."""
        async with asyncio.timeout(30):
            await self._came.wait()
        told = [f"{error.error} {error.exception!r}" for error in self]
        assert not [each for each in told if "canary" in each]
        return self[0]

    async def category(self) -> str:
        """Of the first."""
        category = (await self.first()).category
        assert category is not None
        return category.value

    @property
    def categories(self) -> list[ErrorCategory | None]:
        return [error.category for error in self]


@dataclass
class Watched:
    """A running service, from before it connects."""

    service: FrameProcessor
    line: Line
    errors: Errors

    async def error(self) -> ErrorFrame:
        return await self.errors.first()

    # a voice

    async def speak(self, text: str) -> None:
        await self.line.worker.queue_frame(TTSSpeakFrame(text))

    async def say(self, text: str = SENTENCE) -> bytes:
        """Have it said, to its end; the audio."""
        done, had = len(self.line.sink.of(TTSStoppedFrame)), len(self.audio)
        await self.speak(text)
        await self.line.sink.wait_for(TTSStoppedFrame, done + 1)
        return self.audio[had:]

    @property
    def audio(self) -> bytes:
        return b"".join(frame.audio for frame in self.line.sink.of(TTSAudioRawFrame))

    @property
    def rate_hz(self) -> int:
        """Of the audio, which has only one."""
        (rate_hz,) = {frame.sample_rate for frame in self.line.sink.of(TTSAudioRawFrame)}
        return rate_hz

    @property
    def words(self) -> str:
        return " ".join(frame.text for frame in self.line.sink.of(TTSTextFrame))

    # a language model

    async def ask(self, words: str, tools: ToolsSchema | None = None) -> None:
        context = LLMContext([{"role": "user", "content": words}])
        if tools is not None:
            context.set_tools(tools)
        await self.line.worker.queue_frame(LLMContextFrame(context))

    @property
    def said(self) -> str:
        return "".join(frame.text for frame in self.line.sink.of(LLMTextFrame))

    # a recogniser

    async def hear(self, pcm16: bytes) -> None:
        """An utterance at 8 kHz, as fast as it is taken, and the silence in which the VAD finds its
        end."""
        await self.begins()
        await self.sounds(pcm16 + bytes(round(STOP_S * RATE_HZ) * 2))
        await self.ends()

    async def begins(self) -> None:
        """The VAD is sure that the caller speaks."""
        await self.service.process_frame(VADUserStartedSpeakingFrame(start_secs=0.2), DOWN)

    async def sounds(self, pcm16: bytes) -> None:
        for piece in pieces(pcm16):
            await self.service.process_audio_frame(InputAudioRawFrame(piece, RATE_HZ, 1), DOWN)
            await asyncio.sleep(0)

    async def ends(self) -> None:
        """The VAD is sure that the caller has stopped."""
        await self.service.process_frame(VADUserStoppedSpeakingFrame(stop_secs=STOP_S), DOWN)

    async def final(self) -> TranscriptionFrame:
        """The first transcript."""
        return (await self.line.sink.wait_for(TranscriptionFrame))[0]


@asynccontextmanager
async def watched(service: FrameProcessor) -> AsyncIterator[Watched]:
    """`service` in a running pipeline, which must leave no task behind."""
    errors = Errors(service)
    async with running(service) as line:
        yield Watched(service, line, errors)


def pieces(pcm16: bytes) -> list[bytes]:
    """Of 40 ms, as the phone has them."""
    return [pcm16[at : at + PIECE] for at in range(0, len(pcm16), PIECE)]


async def caller(speech: LocalSpeech, text: str = SENTENCE) -> bytes:
    """`text` as a caller says it: int16 at 8 kHz, with a little silence after it."""
    audio = b"".join([clip.pcm16 async for clip in speech.tts.stream(text, rate_hz=RATE_HZ)])
    return audio + bytes(RATE_HZ // 2 * 2)
