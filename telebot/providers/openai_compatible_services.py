"""The services of a server that speaks OpenAI's wire more or less as OpenAI does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pipecat.utils.errors import ErrorCategory

from telebot.audio.wav import NoWav
from telebot.providers.openai_llm import SharedOpenAILLMService
from telebot.providers.openai_tts import SharedOpenAITTSService
from telebot.providers.streamed_audio import unwrapped
from telebot.providers.vendor_error import VendorError

COMPRESSED = ("mpeg", "mp3", "ogg", "opus", "aac", "flac", "webm")


class CompatibleLLMService(SharedOpenAILLMService):
    """Instructions go as `system`: models' own templates know no `developer`."""

    supports_developer_role = False


class CompatibleTTSService(SharedOpenAITTSService):
    """Plays raw PCM at the rate it was built with, and WAV, which some servers send whatever they
    are asked for, at the file's own."""

    async def audio(self, answer: Any) -> AsyncIterator[tuple[bytes, int]]:
        content = str(answer.headers.get("content-type", "")).lower()
        if any(kind in content for kind in COMPRESSED):
            raise VendorError(f"{content} was sent instead of PCM", ErrorCategory.INVALID_REQUEST)
        pieces = (piece async for piece, _ in super().audio(answer))
        try:
            async for pcm16, rate_hz in unwrapped(pieces, raw_hz=self.sample_rate):
                yield pcm16, rate_hz
        except NoWav as error:
            raise VendorError(f"it sends {error}", ErrorCategory.INVALID_REQUEST) from error
