"""A voice or a recogniser of a vendor in a pipeline, and what comes of it: shared by the tests of
vendors whose services are one websocket each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSStoppedFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.utils.errors import ErrorCategory
from service_line import Line, running

SENTENCE = "The car park is behind the building."
RATE_HZ = 8000
PIECE = RATE_HZ // 25 * 2  # 40 ms


@dataclass
class Watched:
    """A running service and its errors in their order."""

    line: Line
    errors: list[ErrorFrame] = field(default_factory=list)
    told: asyncio.Event = field(default_factory=asyncio.Event)

    async def error(self, count: int = 1) -> ErrorFrame:
        """The error number `count`, when it is there."""
        async with asyncio.timeout(20):
            while len(self.errors) < count:
                self.told.clear()
                await self.told.wait()
        return self.errors[count - 1]

    @property
    def categories(self) -> list[ErrorCategory | None]:
        return [error.category for error in self.errors]

    async def say(self, text: str = SENTENCE) -> bytes:
        """Have it said, to its end; the audio."""
        done = len(self.line.sink.of(TTSStoppedFrame))
        had = len(self.line.sink.of(TTSAudioRawFrame))
        await self.line.worker.queue_frame(TTSSpeakFrame(text))
        await self.line.sink.wait_for(TTSStoppedFrame, done + 1)
        return b"".join(frame.audio for frame in self.line.sink.of(TTSAudioRawFrame)[had:])

    @property
    def words(self) -> str:
        return " ".join(frame.text for frame in self.line.sink.of(TTSTextFrame))

    async def hear(self, pcm16: bytes, *, stop: bool = True) -> None:
        """Speak to it, as fast as it takes it."""
        queue = self.line.worker.queue_frame
        await queue(VADUserStartedSpeakingFrame(start_secs=0.2))
        for start in range(0, len(pcm16), PIECE):
            await queue(InputAudioRawFrame(pcm16[start : start + PIECE], RATE_HZ, 1))
        if stop:
            await queue(VADUserStoppedSpeakingFrame(stop_secs=0.2))


@asynccontextmanager
async def watched(service) -> AsyncIterator[Watched]:
    """`service` in a running pipeline; its errors are kept from before it connects."""
    errors: list[ErrorFrame] = []
    told = asyncio.Event()

    async def on_error(_service, error: ErrorFrame) -> None:
        errors.append(error)
        told.set()

    service.add_event_handler("on_error", on_error)
    async with running(service) as line:
        yield Watched(line, errors, told)
