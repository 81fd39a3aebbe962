"""Voices and recognisers on one websocket each that say at once what goes wrong.

Pipecat 1.14 connects again by itself: three attempts with pauses of 4 to 10 s, some services
without any pause, and tells of a drop without its category. A call needs the opposite: one error
with its cause, now, for the chain above to act on. The next utterance or sentence connects anew.

Vendors' own files build on it. Audio travels as G.711 mu-law, which is what the phone has, and is
PCM in Pipecat's frames.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    TTSStoppedFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.stt_service import WebsocketSTTService
from pipecat.services.tts_service import WebsocketTTSService
from pipecat.services.websocket_service import ReportErrorCallback, WebsocketService
from pipecat.transcriptions.language import Language
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.tracing.service_decorators import traced_tts
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.protocol import State

from telebot.audio import g711
from telebot.call.errors import ProviderError
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.resources import CONNECT_S

CLOSE_S = 0.5  # for the vendor to answer our close; a call that ends does not wait longer
OPTIONS = {"ws_close_timeout": CLOSE_S, "reconnect_on_error": False}


class Refusal(ProviderError):
    """The vendor refuses, with the HTTP status that it names (Pipecat reads `status_code`)."""

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class OneSocket(FrameProcessor, WebsocketService):
    """A service on one connection, whose end is reported once and at once.

    A vendor's service comes after it in the order of bases and gives `_connect_websocket`; the
    vendor's class here gives `_take` for each message, which raises `Refusal` for an error.
    """

    _receive_task: Any = None

    async def _take(self, message: dict[str, Any]) -> None:
        """One message of the vendor, a JSON object."""
        raise NotImplementedError

    def _is_open(self) -> bool:
        return self._websocket is not None and self._websocket.state is State.OPEN

    def _expects_more(self) -> bool:
        """Whether somebody waits for what the connection would have brought."""
        return True

    async def _after_loss(self) -> None:
        """The connection is gone and the error said."""

    def _get_websocket(self) -> Any:
        if self._websocket is None:
            raise ProviderError(f"{self} is not connected")
        return self._websocket

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", CONNECT_S)
        return await super()._websocket_connect(uri, **kwargs)

    async def _connect(self) -> None:
        """Connect once; what fails has been said by `_connect_websocket`."""
        former, self._receive_task = self._receive_task, None
        if former is not None and not former.done():
            former.cancel()
            await asyncio.gather(former, return_exceptions=True)
        await super()._connect()  # type: ignore[no-untyped-call]

    async def _disconnect_websocket(self) -> None:
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            with suppress(Exception):
                await websocket.close()
            await self._call_event_handler("on_disconnected")

    async def _receive_messages(self) -> None:
        async for message in self._get_websocket():
            try:
                told = json.loads(message)
                if not isinstance(told, dict):
                    raise ValueError("not an object")
                await self._take(told)
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise ProviderError(f"a message that makes no sense ({error!r})") from error

    async def _receive_task_handler(self, report_error: ReportErrorCallback) -> None:
        websocket: Any = self._websocket
        error: Exception | None = None
        if websocket is None:
            return
        try:
            await self._receive_messages()
        except Exception as caught:
            error = caught
        if self._disconnecting:
            return
        websocket.transport.abort()  # whatever the vendor still has to say
        if self._websocket is websocket:
            self._websocket = None
        if self._expects_more():
            said = str(error) if error else "closed by the vendor"
            category = None if error else ErrorCategory.CONNECTIVITY
            await report_error(ErrorFrame(f"{self}: {said}", exception=error, category=category))
        await self._after_loss()
        await self._call_event_handler("on_disconnected")

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, ConnectionClosed):
            return _closed_because(exception)
        if isinstance(exception, InvalidStatus) or getattr(exception, "status_code", None):
            return None  # Pipecat reads the status
        if isinstance(exception, InvalidHandshake | OSError | EOFError):
            return ErrorCategory.CONNECTIVITY
        return ErrorCategory.SERVER if isinstance(exception, ProviderError) else None


def _closed_because(closed: ConnectionClosed) -> ErrorCategory:
    """The category of a close whose reason begins with an HTTP status (``429: …``), if it does."""
    status = closed.rcvd.reason[:3] if closed.rcvd else ""
    if status.isdecimal() and len(status) == 3:
        return classify_http_status_code(int(status))
    return ErrorCategory.CONNECTIVITY


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
    _comes_back: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        stopped = isinstance(frame, VADUserStoppedSpeakingFrame)
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._began_at = frame.timestamp - frame.start_secs
            self._come_back()
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

    def _come_back(self) -> None:
        """Connect again for a new utterance, beside the audio, which is kept meanwhile."""
        if self.is_usable and not self._is_open() and not self._reconnecting:
            self._reconnecting = True
            self._comes_back = self.create_task(self._return(), name="comes_back")

    async def _return(self) -> None:
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

    async def cleanup(self) -> None:
        if self._comes_back is not None:
            await self.cancel_task(self._comes_back)
            self._comes_back = None
        await super().cleanup()  # type: ignore[no-untyped-call]


class SocketVoice(OneSocket, WebsocketTTSService):
    """A streaming voice; whatever fails ends the speech that it was at."""

    def _expects_more(self) -> bool:
        return bool(self.get_audio_contexts())

    async def _speak(self, text: str, context_id: str) -> None:
        """Send `text` to the vendor."""
        raise NotImplementedError

    async def _ready(self) -> None:
        """Wait for what is on its way to a connection."""

    @traced_tts
    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        await self._ready()
        if not self._is_open():
            await self._connect()
        if self._is_open():
            with suppress(ConnectionClosed):  # the receiver tells of it
                await self._speak(text, context_id)
                await self.start_tts_usage_metrics(text)
        else:
            await self._after_loss()
        yield None

    async def _after_loss(self) -> None:
        await self.stop_all_metrics()  # type: ignore[no-untyped-call]
        for context_id in self.get_audio_contexts():
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
            await self.remove_audio_context(context_id)

    async def flush_audio(self, context_id: str | None = None) -> None:
        if self._is_open():
            with suppress(ConnectionClosed):
                await super().flush_audio(context_id)

    async def on_audio_context_interrupted(self, context_id: str) -> None:
        if self._is_open():
            with suppress(ConnectionClosed):
                await super().on_audio_context_interrupted(context_id)
