"""The carrier's side of Twilio's media stream: JSON text messages.

Shapes: https://www.twilio.com/docs/voice/media-streams/websocket-messages . Dialled by
`twilio_exchange.py`.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from telebot.audio.g711 import RATE_HZ
from telebot.phone.json_stream import JsonStream
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import Message


@dataclass(frozen=True, slots=True)
class StreamIds:
    """Twilio's identifiers: MZ…, CA… and AC…, 32 hexadecimal digits each."""

    stream_sid: str
    call_sid: str
    account_sid: str


class TwilioStream(JsonStream):
    """One media stream from Twilio's end."""

    def __init__(
        self,
        ids: StreamIds,
        parameters: Mapping[str, str],
        microphone: Microphone,
        *,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.ids = ids
        self.parameters = dict(parameters)
        self._sequence = 0

    def opening(self) -> Sequence[Message]:
        """connected and start."""
        start = {
            "accountSid": self.ids.account_sid,
            "streamSid": self.ids.stream_sid,
            "callSid": self.ids.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": self.parameters,
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [orjson.dumps(connected).decode(), self._message("start", start)]

    def media(self, ulaw: bytes) -> Message:
        media = {
            "track": "inbound",
            "chunk": str(self.frames_sent + 1),
            "timestamp": str(self.frames_sent * FRAME * 1000 // RATE_HZ),
            "payload": base64.b64encode(ulaw).decode("ascii"),
        }
        return self._message("media", media)

    def keys(self, digit: str) -> Sequence[Message]:
        return [self._message("dtmf", {"track": "inbound_track", "digit": digit})]

    def ending(self) -> Sequence[Message]:
        ids = {"accountSid": self.ids.account_sid, "callSid": self.ids.call_sid}
        return [self._message("stop", ids)]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        return [self._message("mark", {"name": name}) for name in names]

    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        if tree.get("streamSid") != self.ids.stream_sid:
            self.fault("wrong streamSid")
            return []
        return self.usual(tree)

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        tree = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            "streamSid": self.ids.stream_sid,
            event: content,
        }
        return orjson.dumps(tree).decode()
