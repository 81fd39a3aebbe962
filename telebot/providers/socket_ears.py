"""A recogniser on one websocket: asked for the rest when the caller's voice stops.

Audio travels as G.711 mu-law, which is what the phone has, and is PCM in Pipecat's frames.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.stt_service import WebsocketSTTService
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601
from websockets.exceptions import ConnectionClosed

from telebot.audio import g711
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.sockets import OneSocket


class SocketEars(OneSocket, WebsocketSTTService):
    """A streaming recogniser that is asked for the rest when the caller's voice stops.

    What the vendor confirms becomes one final `TranscriptionFrame` an utterance, or an
    `EmptyTranscriptFrame` where it heard no words. A vendor's class says by `_mulaw` what travels,
    and by `finalize` how its vendor is asked.
    """

    finalize: str
    _mulaw = True
    _began_at = 0.0
    _speech_s = 0.0
    _asked = False  # for the rest of an utterance that has ended

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        stopped = isinstance(frame, VADUserStoppedSpeakingFrame)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._began_at = frame.timestamp - frame.start_secs
            self._begin()
        elif isinstance(frame, VADUserStoppedSpeakingFrame):
            self._speech_s = max(0.0, frame.timestamp - frame.stop_secs - self._began_at)
            self._asked = True
        # past the vendor's service, which asks even before kept audio has been sent
        await WebsocketSTTService.process_frame(self, frame, direction)
        if stopped and not self._reconnecting:
            await self._ask()

    async def _ask(self) -> None:
        """Ask for the rest of the utterance."""
        if self._is_open():
            with suppress(ConnectionClosed):  # the receiver tells of it
                await self._get_websocket().send(self.finalize)

    def _begin(self) -> None:
        """Connect, where it is not, beside the audio, which is kept meanwhile."""
        if self.is_usable and not self._is_open() and not self._reconnecting:
            self._reconnecting = True
            self._asked = False  # of a connection that is gone: it will not answer
            self._connecting = self.create_task(self._connect_and_catch_up(), name="connecting")

    async def _connect_and_catch_up(self) -> None:
        try:
            await self._do_reconnect()  # type: ignore[no-untyped-call]
            while self._reconnect_audio_buffer:
                kept, _ = self._reconnect_audio_buffer.pop(0)
                self._record_stt_audio_usage(kept.audio)
                await self.process_generator(self.run_stt(kept.audio))
        finally:
            self._reconnecting = False
        if self._asked:
            await self._ask()

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        if self._is_open():
            with suppress(ConnectionClosed):  # the receiver tells of it
                await self._get_websocket().send(self._wire(audio))
        yield None

    def _wire(self, pcm16: bytes) -> bytes:
        return g711.encode(pcm16) if self._mulaw else pcm16

    async def _hearing(self, text: str, language: Language | None, result: Any) -> None:
        """What the utterance seems to be so far."""
        if text.strip():
            await self.push_frame(
                InterimTranscriptionFrame(
                    text.strip(), self._user_id, time_now_iso8601(), language, result=result
                )
            )

    async def _heard(self, text: str, language: Language | None, result: Any) -> None:
        """What the vendor confirms the utterance to be."""
        asked, self._asked = self._asked, False
        if text.strip():
            await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
            await self.push_frame(
                TranscriptionFrame(
                    text.strip(),
                    self._user_id,
                    time_now_iso8601(),
                    language,
                    result=result,
                    finalized=True,
                )
            )
        elif asked:
            await self.push_frame(EmptyTranscriptFrame(self._speech_s))
