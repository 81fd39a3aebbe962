"""A voice on one websocket: whatever fails ends the speech that it was at."""

from __future__ import annotations

import asyncio
import base64
from abc import abstractmethod
from collections.abc import AsyncGenerator
from contextlib import suppress

from pipecat.frames.frames import Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.tts_service import WebsocketTTSService
from pipecat.utils.tracing.service_decorators import traced_tts
from websockets.exceptions import ConnectionClosed

from telebot.audio import g711
from telebot.providers.sockets import OneSocket


class SocketVoice(OneSocket, WebsocketTTSService):
    """A streaming voice; whatever fails ends the speech that it was at."""

    def _matters(self, error: Exception | None) -> bool:
        return bool(self.get_audio_contexts())

    @abstractmethod
    async def _speak(self, text: str, context_id: str) -> None:
        """Send `text` to the vendor."""

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        if self._connecting is not None:
            await asyncio.wait({self._connecting})
        if not self._is_open():
            await self._connect()
        if self._is_open():
            with suppress(ConnectionClosed):  # the receiver tells of it
                await self._speak(text, context_id)
                await self.start_tts_usage_metrics(text)
        else:
            await self._after_loss()
        yield None

    async def _play(self, audio: str, context_id: str, *, mulaw: bool) -> None:
        """Audio of the vendor, in base64."""
        data = base64.b64decode(audio, validate=True)
        pcm16 = g711.decode(data) if mulaw else data
        frame = TTSAudioRawFrame(pcm16, self.sample_rate, 1, context_id=context_id)
        await self.append_to_audio_context(context_id, frame)

    async def _end(self, context_id: str) -> None:
        """Nothing more comes of this speech."""
        await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
        await self.remove_audio_context(context_id)

    async def _after_loss(self) -> None:
        await self.stop_all_metrics()  # type: ignore[no-untyped-call]
        for context_id in self.get_audio_contexts():
            await self._end(context_id)

    async def flush_audio(self, context_id: str | None = None) -> None:
        if self._is_open():
            with suppress(ConnectionClosed):
                await super().flush_audio(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        if self._is_open():
            with suppress(ConnectionClosed):
                await super().on_audio_context_interrupted(context_id)
