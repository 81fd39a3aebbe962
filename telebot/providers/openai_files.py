"""Recognition by a file an utterance, at OpenAI and the vendors that copy its wire.

What Pipecat 1.14's Whisper services lack on the phone: the SDK asks up to three times before they
say that a request failed, errors come without a category, and an utterance without words gives no
answer at all. https://platform.openai.com/docs/api-reference/audio/createTranscription
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, TranscriptionFrame
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.whisper.base_stt import BaseWhisperSTTService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601

from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.openai_errors import UNREADABLE, WIRE_ERRORS, SaysWhat, once
from telebot.providers.vendor_error import VendorError

WAV_HEADER = 44


class AnswersFiles(SaysWhat, AnsweringSTTService, BaseWhisperSTTService):
    """Answers every utterance: its text (finalized), an `EmptyTranscriptFrame` where there are no
    words, or an ErrorFrame and an `EmptyTranscriptFrame` that says `failed`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._client = once(self._client)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame, None]:
        """The text of an utterance, a WAV file of int16 mono."""
        silence_s = self._trailing_silence_secs
        speech_s = max(0.0, (len(audio) - WAV_HEADER) / 2 / self.sample_rate - silence_s)
        try:
            await self.start_processing_metrics()
            result = await self._transcribe(audio)
            await self.stop_processing_metrics()
            text = _text(result)
        except (*WIRE_ERRORS, *UNREADABLE, VendorError) as error:
            yield ErrorFrame(error=f"no transcript: {error}", exception=error)
            yield EmptyTranscriptFrame(speech_s, failed=True)
            return
        if text:
            now = time_now_iso8601()
            yield TranscriptionFrame(text, self._user_id, now, result=result, finalized=True)
        else:
            yield EmptyTranscriptFrame(speech_s)


def _text(result: object) -> str:
    """The SDK hands an answer on as it is where it is not what was asked for."""
    text = getattr(result, "text", None)
    if not isinstance(text, str):
        raise VendorError("the answer has no text", ErrorCategory.SERVER)
    return text.strip()


class OpenAIFileSTTService(AnswersFiles, OpenAISTTService):
    """OpenAI's."""
