"""The speech and language of agent `bench`: no model, no cost, always the same.

A fixed transcript 20 ms after the caller stops, twenty tokens at once, three seconds of speech in
20 ms pieces at once: what is measured with them is the server alone. They are ordinary Pipecat
services; the pieces go on to the phone transport in `speech/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.llm_service import LLMService
from pipecat.services.settings import LLMSettings, STTSettings, TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.time import time_now_iso8601

from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.no_adapter import NoAdapter
from telebot.providers.resources import Resources
from telebot.providers.scripted_audio import RATE_HZ
from telebot.providers.vendor import check_known

TRANSCRIPT_DELAY_S = 0.02
# no question: those are answered without asking the turn model, which is to be measured too
TRANSCRIPT = "Good evening, I would like to have a table for two at seven tomorrow."
REPLY = (
    "Certainly , a table for two at seven tomorrow evening is yours , and which name shall I note ?"
)
TOKENS = tuple(f"{word} " for word in REPLY.split())


class ScriptedSTTService(AnsweringSTTService):
    """A recogniser in the shape of a streaming one: audio goes in, one fixed text comes out.

    `audio_bytes` counts what it was given, so that a bench can prove the audio arrived.
    """

    def __init__(self, delay_s: float = TRANSCRIPT_DELAY_S, text: str = TRANSCRIPT) -> None:
        super().__init__(
            ttfs_p99_latency=0.35,
            audio_passthrough=False,
            settings=STTSettings(model="scripted", language=None),
        )
        self._delay_s = delay_s
        self._text = text
        self.audio_bytes = 0

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        self.audio_bytes += len(audio)
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame):
            self.create_task(self._answer(), name="scripted_transcript")

    async def _answer(self) -> None:
        await asyncio.sleep(self._delay_s)
        await self.push_frame(
            TranscriptionFrame(self._text, "", time_now_iso8601(), finalized=True)
        )


class ScriptedLLMService(LLMService):
    """A language model that has its twenty tokens ready at once."""

    adapter_class = NoAdapter

    def __init__(self, tokens: Sequence[str] = TOKENS) -> None:
        super().__init__(
            settings=LLMSettings(
                model="scripted",
                system_instruction=None,
                temperature=None,
                max_tokens=None,
                top_p=None,
                top_k=None,
                frequency_penalty=None,
                presence_penalty=None,
                seed=None,
                filter_incomplete_user_turns=False,
                user_turn_completion_config=None,
            )
        )
        self._tokens = tuple(tokens)

    def can_generate_metrics(self) -> bool:
        return True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame):
            await self._reply()
        else:
            await self.push_frame(frame, direction)

    async def _reply(self) -> None:
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await self.start_processing_metrics()
            await self.start_ttfb_metrics()
            for number, token in enumerate(self._tokens):
                if number == 0:
                    await self.stop_ttfb_metrics()
                await self._push_llm_text(token)
        finally:
            await self.stop_processing_metrics()
            await self.push_frame(LLMFullResponseEndFrame())


class ScriptedTTSService(TTSService):
    """A voice that has the same three seconds ready for every sentence.

    `audio` is 8 kHz int16 mono in 20 ms pieces, made once by whoever loads the models (`pieces`).
    """

    def __init__(self, audio: Sequence[bytes]) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=RATE_HZ,
            settings=TTSSettings(model="scripted", voice="scripted", language=None),
        )
        self._audio = audio

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self.start_tts_usage_metrics(text)
        for piece in self._audio:
            yield TTSAudioRawFrame(piece, RATE_HZ, 1, context_id=context_id)


def build_stt(options: Mapping[str, Any], resources: Resources) -> ScriptedSTTService:
    """`stt: scripted`; takes no options."""
    check_known("option", options, (), "scripted")
    return ScriptedSTTService()


def build_llm(options: Mapping[str, Any], resources: Resources) -> ScriptedLLMService:
    """`llm: scripted`; takes no options."""
    check_known("option", options, (), "scripted")
    return ScriptedLLMService()


def build_tts(options: Mapping[str, Any], resources: Resources) -> ScriptedTTSService:
    """`tts: scripted`; takes no options."""
    check_known("option", options, (), "scripted")
    return ScriptedTTSService(resources.local.scripted)
