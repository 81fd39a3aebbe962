"""The carrier's side of Telnyx's media stream: JSON text messages.

Shapes: https://developers.telnyx.com/docs/voice/programmable-voice/media-streaming . Dialled by
`telnyx_exchange.py`.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from telebot.audio.g711 import RATE_HZ
from telebot.phone.json_stream import JsonStream
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import Message

FEWEST, MOST = RATE_HZ // 50, 30 * RATE_HZ  # samples in one message: 20 ms to 30 s


class TelnyxStream(JsonStream):
    """One media stream from Telnyx's end."""

    def __init__(
        self,
        call_id: str,
        parameters: Mapping[str, str],
        microphone: Microphone,
        *,
        phone_from: str = "",
        phone_to: str = "",
        client_state: str = "",
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.stream_id = str(uuid.uuid4()).upper()
        self._call_id = call_id
        self._user_id = str(uuid.uuid4())
        self._about: dict[str, Any] = {"from": phone_from, "to": phone_to}
        if parameters:
            self._about["custom_parameters"] = dict(parameters)
        if client_state:
            self._about["client_state"] = client_state
        self._sequence = 0

    def opening(self) -> Sequence[Message]:
        """connected and start."""
        start = {
            "user_id": self._user_id,
            "call_control_id": self._call_id,
            "call_session_id": str(uuid.uuid4()),
            **self._about,
            "media_format": {"encoding": "PCMU", "sample_rate": RATE_HZ, "channels": 1},
        }
        connected = orjson.dumps({"event": "connected", "version": "1.0.0"}).decode()
        return [connected, self._message("start", start)]

    def media(self, ulaw: bytes) -> Message:
        media = {
            "track": "inbound",
            "chunk": str(self.frames_sent + 1),
            "timestamp": str(self.frames_sent * FRAME * 1000 // RATE_HZ),
            "payload": base64.b64encode(ulaw).decode("ascii"),
        }
        return self._message("media", media)

    def keys(self, digit: str) -> Sequence[Message]:
        return [self._message("dtmf", {"digit": digit})]

    def ending(self) -> Sequence[Message]:
        ids = {"user_id": self._user_id, "call_control_id": self._call_id}
        return [self._message("stop", ids)]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        return [self._message("mark", {"name": name}) for name in names]

    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        before = self.fault_count
        event = tree.get("event")
        if event in ("media", "mark", "clear"):
            self.only(tree, "event", "stream_id", *([] if event == "clear" else [event]))
        answer = self.usual(tree)
        if self.fault_count > before:
            what = {"code": 100003, "title": "malformed_frame", "detail": self.faults[-1]}
            error = {"event": "error", "payload": what, "stream_id": self.stream_id}
            return [*answer, orjson.dumps(error).decode()]
        return answer

    def as_ulaw(self, audio: bytes) -> bytes:
        if audio and not FEWEST <= len(audio) <= MOST:
            self.fault("a chunk is 20 milliseconds to 30 seconds")
        return audio

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        tree = {
            "event": event,
            "sequence_number": str(self._sequence),
            event: content,
            "stream_id": self.stream_id,
        }
        return orjson.dumps(tree).decode()
