"""Recognition over OpenAI's realtime socket, made fit for the phone.

What Pipecat 1.14's service does otherwise: it sends 24 kHz PCM (the phone's own mu-law is a sixth
of that; a wide line has it so), all of it (the silence is billed, and precedes the next utterance)
and before the session is configured (the vendor forgets that audio), marks no transcript as final,
reports interim texts a few letters at a time, connects inside the call's setup, and on any fault
connects again with pauses of seconds, after errors without a category.
https://developers.openai.com/api/docs/guides/realtime-transcription,
https://developers.openai.com/api/reference/resources/realtime/server-events.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
)
from pipecat.services.openai.stt import OpenAIRealtimeSTTService
from pipecat.services.stt_service import WebsocketSTTService
from pipecat.utils.errors import ErrorCategory
from pipecat.utils.time import time_now_iso8601
from websockets.exceptions import ConnectionClosed

from telebot.audio import g711
from telebot.audio.wideband import Converted
from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.openai_errors import SaysWhat
from telebot.providers.openai_words import category_of
from telebot.providers.resources import CONNECT_S
from telebot.providers.vendor_error import VendorError, read_object

Event = dict[str, Any]

MULAW = {"type": "audio/pcmu"}
PCM_HZ = 24_000  # the vendor's one rate of it
PCM = {"type": "audio/pcm", "rate": PCM_HZ}
SEND_S = 1.0  # a vendor that takes no audio for as long has gone
CLOSE_S = 0.5  # for the closing handshake at a call's end
SHORTEST_S = 0.1  # of audio that may be committed
PREROLL_S = 0.6  # kept from before the VAD was sure, as in a chain
HELD = 1500  # messages kept while the session is made: a minute of the phone's audio
NO_SPEECH = "input_audio_buffer_commit_empty"
TRANSCRIPTION = "conversation.item.input_audio_transcription"


class OpenAIStreamingSTTService(SaysWhat, AnsweringSTTService, OpenAIRealtimeSTTService):
    """Answers every end of speech that the phone's VAD finds: a finalized TranscriptionFrame, or an
    EmptyTranscriptFrame. The first fault ends it: one ErrorFrame, and no new connection."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(
            reconnect_on_error=False,
            ws_close_timeout=CLOSE_S,
            ws_send_timeout=SEND_S,
            **kwargs,
        )
        self._held: deque[Event] = deque(maxlen=HELD)
        self._broken = False
        self._preroll = bytearray()
        self._to_pcm: Converted | None = None
        self._fed_s = 0.0  # of audio since the last commit
        self._open: deque[float] = deque()  # commits without an answer: seconds of audio of each
        self._interims: dict[str, str] = {}  # by item
        self._on = {
            "session.created": self._handle_session_created,
            "session.updated": self._handle_session_updated,
            "error": self._handle_error,
            f"{TRANSCRIPTION}.delta": self._handle_transcription_delta,
            f"{TRANSCRIPTION}.completed": self._handle_transcription_completed,
            f"{TRANSCRIPTION}.failed": self._handle_transcription_failed,
            "input_audio_buffer.speech_started": self._handle_speech_started,
            "input_audio_buffer.speech_stopped": self._handle_speech_stopped,
        }

    # --- connection ----------------------------------------------------------------------------

    async def _connect(self) -> None:
        """In the background: the call goes on, and what the caller says meanwhile is held."""
        await WebsocketSTTService._connect(self)  # type: ignore[no-untyped-call]
        if self._receive_task is None:
            task = self.create_task(self._receive_task_handler(self._report_error))
            self._receive_task = task  # type: ignore[assignment]

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        return await super()._websocket_connect(uri, open_timeout=CONNECT_S, **kwargs)

    async def _receive_task_handler(self, report_error: Any) -> None:
        # reports its own failure
        await self._connect_websocket()  # type: ignore[no-untyped-call]
        if self._websocket is None:
            self._broken = True
            return
        try:
            await self._receive_messages()
            await self._fail(VendorError("the connection was closed", ErrorCategory.CONNECTIVITY))
        except (ConnectionClosed, VendorError) as error:
            await self._fail(error)

    async def _receive_messages(self) -> None:
        websocket: Any = self._websocket
        async for message in websocket:
            event = _event(message)
            handle = self._on.get(event["type"])
            if handle is not None:
                await handle(event)

    async def _fail(self, error: Exception) -> None:
        """Say it once, answer what is waited for, and let the socket go."""
        if self._disconnecting or self._broken:
            return
        self._broken = True
        await self._report_error(ErrorFrame(error=f"no transcript: {error}", exception=error))
        while self._open:
            await self.push_frame(EmptyTranscriptFrame(self._open.popleft(), failed=True))
        if self._websocket is not None:
            await self._websocket.close()

    async def _ws_send(self, message: Event) -> None:
        if self._broken or self._disconnecting:
            return
        if message["type"] == "session.update":
            message["session"]["audio"]["input"]["format"] = MULAW if self._mulaw else PCM
        elif not self._session_ready:
            self._held.append(message)
            return
        if self._websocket is None:
            return
        try:
            await self._websocket.send(json.dumps(message))
        except ConnectionClosed:
            return  # the receiving end says so

    # --- what we say ---------------------------------------------------------------------------

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Send `audio` (int16 mono at the service's rate); answers come by the socket."""
        if not self._broken:
            self._preroll += self._wired(audio[: len(audio) & ~1])
            if self._user_speaking or self._server_vad_enabled:
                await self._append()
            else:
                del self._preroll[: -round(PREROLL_S * self._bytes_a_s)]
        yield None

    @property
    def _mulaw(self) -> bool:
        """A telephone's sound goes as it is, any other as PCM."""
        return bool(self.sample_rate == g711.RATE_HZ)

    @property
    def _bytes_a_s(self) -> int:
        return g711.RATE_HZ if self._mulaw else 2 * PCM_HZ

    def _wired(self, pcm16: bytes) -> bytes:
        if self._mulaw:
            return g711.encode(pcm16)
        if self._to_pcm is None:
            self._to_pcm = Converted(self.sample_rate, PCM_HZ)
        return self._to_pcm.feed(pcm16)

    async def _append(self) -> None:
        audio = bytes(self._preroll)
        self._preroll.clear()
        self._fed_s += len(audio) / self._bytes_a_s
        self._stt_usage_pending_seconds += len(audio) / self._bytes_a_s
        payload = base64.b64encode(audio).decode()
        await self._ws_send({"type": "input_audio_buffer.append", "audio": payload})

    def _record_stt_audio_usage(self, audio: bytes | bytearray) -> None:
        """What is sent is counted, not what is heard."""

    async def _handle_vad_user_started_speaking(self, frame: VADUserStartedSpeakingFrame) -> None:
        await super()._handle_vad_user_started_speaking(frame)
        if self._preroll and not self._broken:
            await self._append()

    async def _commit_audio_buffer(self) -> None:
        fed_s, self._fed_s = self._fed_s, 0.0
        if self._broken or fed_s < SHORTEST_S:
            self._fed_s = fed_s
            await self.push_frame(EmptyTranscriptFrame(fed_s, failed=self._broken))
            return
        self._open.append(fed_s)
        await self._ws_send({"type": "input_audio_buffer.commit"})

    # --- what the vendor says ------------------------------------------------------------------

    async def _handle_session_updated(self, evt: Event) -> None:
        await super()._handle_session_updated(evt)
        while self._held:
            await self._ws_send(self._held.popleft())

    async def _handle_transcription_delta(self, evt: Event) -> None:
        item = str(evt.get("item_id"))
        text = self._interims[item] = self._interims.get(item, "") + str(evt.get("delta") or "")
        if text.strip():
            now = time_now_iso8601()
            await self.push_frame(
                InterimTranscriptionFrame(text.strip(), self._user_id, now, result=evt)
            )

    async def _handle_transcription_completed(self, evt: Event) -> None:
        self._interims.pop(str(evt.get("item_id")), None)
        speech_s = self._open.popleft() if self._open else 0.0
        text = str(evt.get("transcript") or "").strip()
        await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
        if text:
            now = time_now_iso8601()
            await self.push_frame(
                TranscriptionFrame(text, self._user_id, now, result=evt, finalized=True)
            )
        else:
            await self.push_frame(EmptyTranscriptFrame(speech_s))

    async def _handle_transcription_failed(self, evt: Event) -> None:
        """One utterance is lost; the session goes on."""
        self._interims.pop(str(evt.get("item_id")), None)
        error = _error(evt)
        await self.push_error(f"no transcript: {error}", exception=error)
        speech_s = self._open.popleft() if self._open else 0.0
        await self.push_frame(EmptyTranscriptFrame(speech_s, failed=True))

    async def _handle_error(self, evt: Event) -> None:
        if (evt.get("error") or {}).get("code") == NO_SPEECH:
            await self.push_frame(EmptyTranscriptFrame(self._open.pop() if self._open else 0.0))
            return
        raise _error(evt)


def _event(message: str | bytes) -> Event:
    event = read_object(message, "openai")
    if not isinstance(event.get("type"), str):
        raise VendorError("openai sends a message without a type")
    return event


def _error(event: Event) -> VendorError:
    """The error in an event. A failed transcription gives a status in its message alone."""
    error = event.get("error")
    message = str(error.get("message")) if isinstance(error, dict) else "no reason given"
    kind = category_of(error)
    if kind is ErrorCategory.SERVER and re.search(r"\b429\b", message):
        kind = ErrorCategory.RATE_LIMIT
    return VendorError(message, kind)
