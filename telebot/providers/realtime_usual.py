"""The last link of a chain of speech-to-speech sessions: the usual recogniser, language model and
voice of the agent. Nothing of them runs, or is connected to, before the last session has failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import Frame, InputAudioRawFrame, StartFrame
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from telebot.providers.frames import WordTimesFrame
from telebot.providers.hosted import Hosted, Take
from telebot.providers.listening import EVENT_S

DOWN = FrameDirection.DOWNSTREAM
START_S = 5.0


@dataclass(frozen=True, slots=True)
class UsualParts:
    """New services, or chains of them, for one call."""

    stt: Any  # a recogniser: a frame processor with `process_audio_frame`
    llm: FrameProcessor
    tts: FrameProcessor


class Usual:
    """`build` is called when it is needed; `heard` gets what the recogniser pushes, `spoken` what
    the voice does."""

    def __init__(self, build: Callable[[], UsualParts], heard: Take, spoken: Take) -> None:
        self._build = build
        self._heard = heard
        self._spoken = spoken
        self._hosts: tuple[Hosted, ...] = ()
        self._begun_s = 0.0  # audio of the reply under way that was said before
        self.up = False

    async def start(self, setup: FrameProcessorSetup, frame: StartFrame) -> None:
        """Raises ProviderError, TimeoutError."""
        parts = self._build()
        tts = Hosted(parts.tts, self._voiced)
        llm = Hosted(parts.llm, tts.feed)
        stt = Hosted(parts.stt, self._heard)
        self._hosts = (stt, llm, tts)
        async with asyncio.timeout(START_S):
            await asyncio.gather(*(host.start(setup, frame) for host in self._hosts))
        self.up = True

    async def hear(self, frame: InputAudioRawFrame) -> None:
        service: Any = self._hosts[0].service
        await service.process_audio_frame(frame, DOWN)

    async def tell(self, frame: Frame) -> None:
        """What the detector says."""
        await self._hosts[0].feed(frame)

    async def catch_up(self, frames: Iterable[Frame]) -> None:
        """What nobody has understood yet: audio, and the detector's words in their places."""
        for frame in frames:
            if isinstance(frame, InputAudioRawFrame):
                await self.hear(frame)
            else:
                await self._hosts[0].feed_through(frame, EVENT_S)

    def of_recogniser(self, name: str) -> None:
        do: Callable[[], None] | None = getattr(self._hosts[0].service, name, None)
        if do is not None:
            do()

    async def think(self, frame: Frame, begun_s: float = 0.0) -> None:
        """A frame for the model; what it makes of it goes to the voice. `begun_s`: so much audio of
        the reply was said by others."""
        self._begun_s = begun_s
        await self._hosts[1].feed(frame)

    async def stop(self) -> None:
        self.up = False
        await asyncio.gather(*(host.stop() for host in self._hosts))

    async def _voiced(self, frame: Frame) -> None:
        if isinstance(frame, WordTimesFrame) and frame.at_s is not None:
            frame.at_s += self._begun_s
        await self._spoken(frame)


Build = Callable[[], UsualParts]
Answer = Callable[[LLMContext], Awaitable[None]]
