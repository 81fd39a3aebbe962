"""ElevenLabs' sockets in a call: Pipecat's services, with mu-law and with failures said at once.

What Pipecat 1.14 leaves to be mended, for the chain above to fail over in time:

- the voice's error frames (``{"error": …, "message": …, "code": 1008}``) are skipped, and Scribe's
  carry no category; both are followed by a close, after which it reconnects for seconds without a
  word to anybody. Here each failure is one ErrorFrame with a category, at once;
- a socket that goes away between two replies fails nobody: the next text opens another one (which
  Pipecat would never read from, its finished reader still in place);
- a commit of too little audio is refused (`commit_throttled`) and harms nothing;
- a vendor that does not say goodbye is waited for half a second instead of four.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame, TTSStoppedFrame
from pipecat.services.elevenlabs.stt import ElevenLabsRealtimeSTTService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.websocket_service import ReportErrorCallback
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import (
    ConnectionClosed,
    ConnectionClosedOK,
)

from telebot.audio import g711
from telebot.providers.one_socket import OneConnection
from telebot.providers.resources import CONNECT_S
from telebot.providers.vendor_error import VendorError, kind_of, read_object

PHONE = "ulaw_8000"
GOODBYE_S = 0.5
LONGEST_ERROR = 4096  # characters; anything longer is audio
# https://elevenlabs.io/docs/developer-guides/error-messages, and seen on the wire:
# https://github.com/livekit/agents-js/issues/1985, https://github.com/livekit/agents/issues/218
VOICE_ERRORS: Mapping[str, ErrorCategory] = {
    "invalid_api_key": ErrorCategory.AUTHENTICATION,
    "missing_permissions": ErrorCategory.AUTHORIZATION,
    "detected_unusual_activity": ErrorCategory.AUTHORIZATION,
    "quota_exceeded": ErrorCategory.QUOTA,
    "too_many_concurrent_requests": ErrorCategory.RATE_LIMIT,
    "max_active_conversations": ErrorCategory.RATE_LIMIT,
    "system_busy": ErrorCategory.RATE_LIMIT,
    "voice_not_found": ErrorCategory.INVALID_REQUEST,
    "voice_does_not_exist": ErrorCategory.INVALID_REQUEST,
    "model_not_found": ErrorCategory.INVALID_REQUEST,
    "input_timeout_exceeded": ErrorCategory.CONNECTIVITY,
}
# https://elevenlabs.io/docs/eleven-api/guides/how-to/speech-to-text/realtime/event-reference
SCRIBE_ERRORS: Mapping[str, ErrorCategory] = {
    "auth_error": ErrorCategory.AUTHENTICATION,
    "unaccepted_terms": ErrorCategory.AUTHORIZATION,
    "quota_exceeded": ErrorCategory.QUOTA,
    "rate_limited": ErrorCategory.RATE_LIMIT,
    "queue_overflow": ErrorCategory.RATE_LIMIT,
    "resource_exhausted": ErrorCategory.SERVER,
    "transcriber_error": ErrorCategory.SERVER,
    "error": ErrorCategory.SERVER,
    "invalid_request": ErrorCategory.INVALID_REQUEST,
    "input_error": ErrorCategory.UNKNOWN,
    "chunk_size_exceeded": ErrorCategory.UNKNOWN,
    "session_time_limit_exceeded": ErrorCategory.CONNECTIVITY,
    "insufficient_audio_activity": ErrorCategory.CONNECTIVITY,
}


def voice_message(message: str | bytes) -> bool:
    """Whether the voice's service should see a message. Raises VendorError for an error."""
    if len(message) > LONGEST_ERROR:
        return True
    told = read_object(message, "elevenlabs")
    if error := told.get("error"):
        category = VOICE_ERRORS.get(str(error), ErrorCategory.SERVER)
        raise VendorError(f"{error}: {told.get('message')}", category)
    return True


def scribe_message(message: str | bytes) -> bool:
    """Whether the recogniser's service should see a message. Raises VendorError for an error."""
    told = read_object(message, "elevenlabs")
    kind = str(told.get("message_type"))
    if kind in SCRIBE_ERRORS:
        raise VendorError(f"{kind}: {told.get('error')}", SCRIBE_ERRORS[kind])
    return kind != "commit_throttled"


class CheckedSocket:
    """An open socket whose messages are looked at before the service reads them."""

    def __init__(self, socket: Any, wanted: Callable[[str | bytes], bool]) -> None:
        self._socket = socket
        self._wanted = wanted
        self.send = socket.send

    def __aiter__(self) -> CheckedSocket:
        return self

    async def __anext__(self) -> str | bytes:
        while True:
            try:
                message: str | bytes = await self._socket.recv()
            except ConnectionClosedOK:
                raise StopAsyncIteration from None
            if self._wanted(message):
                return message


class PhoneElevenLabsTTSService(OneConnection, ElevenLabsTTSService):
    """The voice: mu-law on the wire where the call is 8 kHz, PCM in the frames."""

    _lost_is_final = False

    def _build_websocket_url(self) -> str:
        if self.sample_rate == g711.RATE_HZ:
            self._output_format = PHONE
        return super()._build_websocket_url()

    def _get_websocket(self) -> Any:
        return CheckedSocket(super()._get_websocket(), voice_message)  # type: ignore[no-untyped-call]

    async def append_to_audio_context(self, context_id: str | None, frame: Any) -> None:
        if isinstance(frame, TTSAudioRawFrame) and self._output_format == PHONE:
            pcm16 = g711.decode(frame.audio)
            frame = TTSAudioRawFrame(pcm16, frame.sample_rate, 1, context_id=frame.context_id)
        await super().append_to_audio_context(context_id, frame)

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        if self._websocket and self._receive_task and self._receive_task.done():
            self._receive_task = self.create_task(self._receive_task_handler(self._report_error))

    def _matters(self, error: Exception | None) -> bool:
        """Where it cost a reply, or the vendor says why. The next text opens another."""
        return isinstance(error, VendorError) or bool(self.get_audio_contexts())

    async def _after_loss(self) -> None:
        self._clear_connection_state()  # type: ignore[no-untyped-call]
        for context_id in self.get_audio_contexts():
            await self.append_to_audio_context(context_id, TTSStoppedFrame(context_id=context_id))
        await self._close_connection_contexts()  # type: ignore[no-untyped-call]

    async def _disconnect_websocket(self) -> None:
        """As the vendor asks: `close_socket`, then its close; for as long as a call can wait."""
        await self.stop_all_metrics()  # type: ignore[no-untyped-call]
        socket, self._websocket = self._websocket, None
        if socket is not None:
            try:
                async with asyncio.timeout(GOODBYE_S):
                    await socket.send(json.dumps({"close_socket": True}))
                    await socket.wait_closed()
            except (ConnectionClosed, TimeoutError):
                socket.transport.abort()
        self._clear_connection_state()  # type: ignore[no-untyped-call]
        await self._call_event_handler("on_disconnected")


class PhoneElevenLabsSTTService(ElevenLabsRealtimeSTTService):
    """Scribe: mu-law on the wire where the call is 8 kHz, at any address."""

    def __init__(self, *, base_url: str = "wss://api.elevenlabs.io", **kwargs: Any) -> None:
        self._scheme, _, host = base_url.rpartition("://")
        super().__init__(base_url=host, **kwargs)
        self._ws_close_timeout = GOODBYE_S

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        address = uri.replace("wss", self._scheme or "wss", 1)
        return await super()._websocket_connect(address, open_timeout=CONNECT_S, **kwargs)

    async def _connect_websocket(self) -> None:
        if self.sample_rate == g711.RATE_HZ:
            self._audio_format = PHONE
        await super()._connect_websocket()  # type: ignore[no-untyped-call]

    def _get_websocket(self) -> Any:
        return CheckedSocket(super()._get_websocket(), scribe_message)  # type: ignore[no-untyped-call]

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return kind_of(exception)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        async for frame in super().run_stt(self._wire(audio)):
            yield frame

    async def _send_keepalive(self, silence: bytes) -> None:
        await super()._send_keepalive(self._wire(silence))

    def _wire(self, pcm16: bytes) -> bytes:
        return g711.encode(pcm16) if self._audio_format == PHONE else pcm16

    async def _maybe_try_reconnect(
        self,
        error_message: str,
        report_error: ReportErrorCallback,
        error: Exception | None = None,
    ) -> bool:
        """The socket is lost: say so first, then reconnect as Pipecat does (three attempts)."""
        if not self._disconnecting and self._websocket is not None:
            why = error or ConnectionError("closed by the vendor")
            await report_error(ErrorFrame(error_message, exception=why))
        return await super()._maybe_try_reconnect(error_message, report_error, error)
