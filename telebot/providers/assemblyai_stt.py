"""AssemblyAI's streaming recognition with the ends of speech that this server hears itself.

https://www.assemblyai.com/docs/streaming/message-sequence,
https://www.assemblyai.com/docs/streaming/common-session-errors-and-closures.
Pipecat's `AssemblyAISTTService` takes the vendor's `Error` and `Warning` for errors of its own
without a kind, passes over junk in silence, waits up to 5 s for a farewell when the call is over,
and sends a last piece of audio that is shorter than the vendor allows.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from pipecat.frames.frames import Frame, VADUserStartedSpeakingFrame
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.assemblyai.stt import AssemblyAISTTService
from pipecat.services.stt_service import WebsocketSTTService
from pipecat.utils.errors import ErrorCategory
from websockets.protocol import State

from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.one_socket import FAILURES, OneConnection
from telebot.providers.vendor_error import VendorError, read_object

FAREWELL_S = 0.5  # the vendor ends the session by itself when the connection closes
HANDLED = ("Begin", "Turn", "SpeechStarted", "Termination")
REASONS = {
    "concurrent": ErrorCategory.RATE_LIMIT,
    "balance": ErrorCategory.QUOTA,
    "funds": ErrorCategory.QUOTA,
}
CODES = {
    1006: ErrorCategory.CONNECTIVITY,
    1008: ErrorCategory.AUTHENTICATION,
    3005: ErrorCategory.SERVER,
    3006: ErrorCategory.INVALID_REQUEST,
    3007: ErrorCategory.INVALID_REQUEST,
    3008: ErrorCategory.CONNECTIVITY,
    3009: ErrorCategory.RATE_LIMIT,
}


class StreamingSTTService(OneConnection, AnsweringSTTService, AssemblyAISTTService):
    """Each end of speech sends `ForceEndpoint`, which is answered by the turn's last transcript."""

    def __init__(self, *, base_url: str = "wss://streaming.assemblyai.com", **kwargs: Any) -> None:
        super().__init__(
            api_endpoint_base_url=f"{base_url}/v3/ws", audio_passthrough=False, **kwargs
        )
        self._speech_bytes = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._speech_bytes = 0
        with suppress(*FAILURES):  # of sending: the receiving side reports it
            await super().process_frame(frame, direction)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        if self._user_speaking:
            self._speech_bytes += len(audio)
        async for frame in super().run_stt(audio):
            yield frame

    async def _receive_messages(self) -> None:
        websocket = self._websocket
        assert websocket is not None
        async for raw in websocket:
            message = read_object(raw, "assemblyai")
            if message.get("type") == "Error":
                reason = str(message.get("error"))
                kind = _category(message.get("error_code"), reason)
                raise VendorError(f"assemblyai: {reason}", kind)
            if message.get("type") in HANDLED:
                await self._handle_message(message)

    async def _handle_transcription(self, message: Any) -> None:
        if message.end_of_turn and not message.transcript and self._finalize_requested:
            self._finalize_requested = False
            await self.push_frame(EmptyTranscriptFrame(self._speech_bytes / 2 / self.sample_rate))
            return
        await super()._handle_transcription(message)

    async def _disconnect(self) -> None:
        await WebsocketSTTService._disconnect(self)  # type: ignore[no-untyped-call]
        if self._websocket is not None and self._websocket.state is State.OPEN:
            self._termination_event.clear()
            with suppress(*FAILURES):
                await self._websocket.send(json.dumps({"type": "Terminate"}))
                await asyncio.wait_for(self._termination_event.wait(), FAREWELL_S)
        if self._receive_task is not None:
            await self.cancel_task(self._receive_task)
            self._receive_task = None
        await self._disconnect_websocket()  # type: ignore[no-untyped-call]

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        return _category(code, reason)


def _category(code: Any, reason: str) -> ErrorCategory:
    """By the code; 1008 says by its reason what an account lacks."""
    for words, found in REASONS.items():
        if words in reason.lower():
            return found
    return CODES.get(code, ErrorCategory.SERVER)
