"""What the tests of OpenAI, and of the vendors on its wire, do with a service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    LLMContextFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.ai_service import AIService
from service_line import Line, running

PIECE = 640  # bytes: 40 ms of int16 at 8 kHz
DOWN = FrameDirection.DOWNSTREAM
CANARY = "bad-canary-0123456789abcdefghijklmnop"


class Errors(list[ErrorFrame]):
    """The errors of a service, as the chain above it sees them."""

    def __init__(self, service: AIService) -> None:
        super().__init__()
        self._came = asyncio.Event()
        service.add_event_handler("on_error", self._keep)

    async def _keep(self, _: AIService, frame: ErrorFrame) -> None:
        self.append(frame)
        self._came.set()

    async def first(self) -> ErrorFrame:
        async with asyncio.timeout(30):
            await self._came.wait()
        return self[0]

    async def category(self) -> str:
        """Of the first; no part of a key stands in any."""
        first = await self.first()
        assert not [error.error for error in self if "canary" in str(error.error)]
        assert first.category is not None
        return first.category.value


async def pcm(speech, text: str) -> bytes:
    """`text` as a caller says it: int16 at 8 kHz, with a little silence around it."""
    audio = b"".join([clip.pcm16 async for clip in speech.tts.stream(text, rate_hz=8000)])
    return bytes(3200) + audio + bytes(3200)


async def utter(line: Line, stt, audio: bytes, *, rest: bytes = b"") -> None:
    """An utterance, as the phone's transport and its VAD hand it over."""
    await line.worker.queue_frame(VADUserStartedSpeakingFrame(start_secs=0.2))
    await line.sink.wait_for(VADUserStartedSpeakingFrame)
    for i in range(0, len(audio), PIECE):
        frame = InputAudioRawFrame(audio[i : i + PIECE], 8000, 1)
        await stt.process_audio_frame(frame, DOWN)
        await asyncio.sleep(0)
    await line.worker.queue_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@asynccontextmanager
async def watched(service: AIService) -> AsyncIterator[tuple[Line, Errors]]:
    """A line with the service, and its errors."""
    errors = Errors(service)
    async with running(service) as line:
        yield line, errors


async def ask(line: Line, words: str, tools=None) -> None:
    context = LLMContext([{"role": "user", "content": words}])
    if tools is not None:
        context.set_tools(tools)
    await line.worker.queue_frame(LLMContextFrame(context))


async def speak(line: Line, words: str) -> None:
    await line.worker.queue_frame(TTSSpeakFrame(words))


def said(line: Line) -> str:
    """What a language model has said."""
    return "".join(frame.text for frame in line.sink.of(LLMTextFrame))


def sound(line: Line, kind: type[Frame]) -> tuple[bytes, int]:
    """The audio of a voice, and its rate in Hz."""
    frames = line.sink.of(kind)
    assert {frame.sample_rate for frame in frames} == {frames[0].sample_rate}
    return b"".join(frame.audio for frame in frames), frames[0].sample_rate
