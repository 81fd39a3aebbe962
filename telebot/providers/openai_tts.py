"""Pipecat's OpenAI voice on the process's own connections.

Pipecat 1.14's lets the SDK ask up to three times before it says that a request failed, gives bad
requests no category, and waits for half a second of audio before the first frame.
https://platform.openai.com/docs/api-reference/audio/createSpeech
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.openai.tts import OpenAITTSService

from telebot.providers.openai_errors import WIRE_ERRORS, SaysWhat, once
from telebot.providers.vendor_error import VendorError

RATE_HZ = 24000  # of the vendor's PCM, whatever is asked
PIECE_S = 0.1  # of audio in a frame: the first is not held back for longer


class SharedOpenAITTSService(SaysWhat, OpenAITTSService):
    """Speaks one text a request; frames are int16 at the rate that they say."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client = once(self._client)

    def request(self, text: str) -> dict[str, Any]:
        """What is asked for `text`."""
        settings: Any = self._settings
        asked = {
            "input": text,
            "model": settings.model,
            "voice": settings.voice,
            "response_format": "pcm",
            "instructions": settings.instructions,
            "speed": settings.speed,
        }
        return {name: value for name, value in asked.items() if value}

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Audio of `text` as it comes, and an ErrorFrame where it ends too soon."""
        speech = self._client.audio.speech.with_streaming_response
        try:
            async with speech.create(**self.request(text)) as answer:
                await self.start_tts_usage_metrics(text)
                async for pcm16, rate_hz in self.audio(answer):
                    await self.stop_ttfb_metrics()
                    yield TTSAudioRawFrame(pcm16, rate_hz, 1, context_id=context_id)
        except (*WIRE_ERRORS, VendorError) as error:
            yield ErrorFrame(error=f"no speech: {error}", exception=error)

    async def audio(self, answer: Any) -> AsyncIterator[tuple[bytes, int]]:
        """Whole int16 samples of an answer, with their rate in Hz."""
        async for piece in answer.iter_bytes(round(self.sample_rate * PIECE_S) * 2):
            if whole := piece[: len(piece) & ~1]:
                yield whole, self.sample_rate
