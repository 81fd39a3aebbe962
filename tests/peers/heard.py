"""A recogniser in a pipeline, a caller who speaks to it, and what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from service_line import Line, running

DOWN = FrameDirection.DOWNSTREAM
RATE_HZ = 8000
PIECE_BYTES = RATE_HZ // 25 * 2  # 40 ms


@dataclass
class Call:
    """`errors` are what the service has told, in order."""

    service: object
    line: Line
    errors: list[ErrorFrame]
    failed: asyncio.Event

    async def says(self, pcm16: bytes) -> None:
        """A stretch of speech, a moment of silence after it, and the end that the detector sees."""
        await self.begins()
        await self.sounds(pcm16 + bytes(RATE_HZ // 5 * 2))
        await self.ends()

    async def begins(self) -> None:
        await self.service.process_frame(VADUserStartedSpeakingFrame(start_secs=0.1), DOWN)

    async def ends(self) -> None:
        await self.service.process_frame(VADUserStoppedSpeakingFrame(stop_secs=0.2), DOWN)

    async def sounds(self, pcm16: bytes) -> None:
        for at in range(0, len(pcm16), PIECE_BYTES):
            piece = InputAudioRawFrame(pcm16[at : at + PIECE_BYTES], RATE_HZ, 1)
            await self.service.process_audio_frame(piece, DOWN)
            await asyncio.sleep(0)

    async def final(self) -> TranscriptionFrame:
        """The first transcript."""
        return (await self.line.sink.wait_for(TranscriptionFrame))[0]

    async def failure(self) -> ErrorFrame:
        """The first error that the service tells (within 10 s)."""
        async with asyncio.timeout(10):
            await self.failed.wait()
        return self.errors[0]


def errors_of(service: object) -> tuple[list[ErrorFrame], asyncio.Event]:
    """A list that fills with the service's errors, and an event for the first."""
    errors: list[ErrorFrame] = []
    failed = asyncio.Event()

    async def note(_service: object, error: ErrorFrame) -> None:
        errors.append(error)
        failed.set()

    service.add_event_handler("on_error", note)
    return errors, failed


@asynccontextmanager
async def calling(service: object) -> AsyncIterator[Call]:
    """`service` in a running pipeline; nothing of it may be left at the end."""
    errors, failed = errors_of(service)
    async with running(service) as line:
        yield Call(service, line, errors, failed)
