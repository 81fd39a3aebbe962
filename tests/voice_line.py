"""One vendor's service in a pipeline: it is fed speech or text, and what comes out is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    InputAudioRawFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from service_line import Line, running

from telebot.simulate.server import Simulator

RATE_HZ = 8000
PIECE = RATE_HZ // 25 * 2  # 40 ms
DOWN = FrameDirection.DOWNSTREAM


@dataclass
class Faulty:
    """A running service, and the errors it has reported."""

    service: Any
    line: Line
    errors: list[ErrorFrame] = field(default_factory=list)
    erred: asyncio.Event = field(default_factory=asyncio.Event)

    async def error(self) -> ErrorFrame:
        """The first error."""
        async with asyncio.timeout(20):
            await self.erred.wait()
        return self.errors[0]

    async def speak(self, text: str) -> None:
        await self.line.worker.queue_frame(TTSSpeakFrame(text))

    def audio(self) -> bytes:
        return b"".join(frame.audio for frame in self.line.sink.of(TTSAudioRawFrame))

    async def hear(self, pcm16: bytes, *, stop: bool = True) -> None:
        """`pcm16` at 8 kHz as a caller's utterance; without `stop` it is still going on."""
        feed = self.service.process_audio_frame
        await self.service.process_frame(VADUserStartedSpeakingFrame(), DOWN)
        for at in range(0, len(pcm16), PIECE):
            await feed(InputAudioRawFrame(pcm16[at : at + PIECE], RATE_HZ, 1), DOWN)
            await asyncio.sleep(0)
        if stop:
            await self.stop()

    async def stop(self) -> None:
        """The caller has stopped speaking."""
        await self.service.process_frame(VADUserStoppedSpeakingFrame(), DOWN)


@contextlib.asynccontextmanager
async def serving(service: Any) -> AsyncIterator[Faulty]:
    """`service` in a started pipeline."""
    async with running(service) as line:
        faulty = Faulty(service, line)

        async def on_error(_service: Any, frame: ErrorFrame) -> None:
            faulty.errors.append(frame)
            faulty.erred.set()

        service.add_event_handler("on_error", on_error)
        yield faulty


async def asked(sim: Simulator, count: int) -> None:
    """Until the simulated vendors have had `count` requests."""
    for _ in range(2000):
        if len(sim.requests) >= count:
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(sim.requests)
