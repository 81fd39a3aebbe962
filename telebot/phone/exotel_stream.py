"""The carrier's side of Exotel's stream: JSON text messages with linear PCM.

https://developer.exotel.com/docs/agentstream/stream-voicebot-applet . Dialled by
`exotel_exchange.py`. Exotel sends a tenth of a second at once; here it is a frame, of a size that
Exotel's pages allow as well.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from telebot.audio import g711
from telebot.audio.g711 import RATE_HZ
from telebot.phone.json_stream import JsonStream
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import Message

FEWEST_BYTES, MOST_BYTES, MULTIPLE = 3200, 100_000, 320


class ExotelStream(JsonStream):
    """One stream from Exotel's end."""

    def __init__(
        self,
        call_id: str,
        numbers: tuple[str, str],
        parameters: Mapping[str, str],
        microphone: Microphone,
        *,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.stream_id = secrets.token_hex(16)
        self._call_id = call_id
        self._numbers = numbers
        self._parameters = dict(parameters)
        self._sequence = 0

    def opening(self) -> Sequence[Message]:
        """connected and start."""
        phone_from, phone_to = self._numbers
        start = {
            "stream_sid": self.stream_id,
            "call_sid": self._call_id,
            "account_sid": "exotel1",
            "from": phone_from,
            "to": phone_to,
            "custom_parameters": self._parameters,
            "media_format": {"encoding": "raw", "sample_rate": "8000", "bit_rate": "128"},
        }
        return ['{"event":"connected"}', self._message("start", start)]

    def media(self, ulaw: bytes) -> Message:
        media = {
            "chunk": self.frames_sent + 1,
            "timestamp": str(self.frames_sent * FRAME * 1000 // RATE_HZ),
            "payload": base64.b64encode(g711.decode(ulaw)).decode("ascii"),
        }
        return self._message("media", media)

    def keys(self, digit: str) -> Sequence[Message]:
        return [self._message("dtmf", {"duration": "200", "digit": digit})]

    def ending(self) -> Sequence[Message]:
        what = {"call_sid": self._call_id, "account_sid": "exotel1", "reason": "callended"}
        return [self._message("stop", what)]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        return [self._message("mark", {"name": name}) for name in names]

    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        if tree.get("stream_sid") != self.stream_id:
            self.fault("wrong stream_sid")
            return []
        return self.usual(tree)

    def as_ulaw(self, audio: bytes) -> bytes:
        if not FEWEST_BYTES <= len(audio) <= MOST_BYTES or len(audio) % MULTIPLE:
            self.fault(f"a chunk of {len(audio)} bytes")
        return g711.encode(audio[: len(audio) // 2 * 2])

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        tree = {
            "event": event,
            "sequence_number": self._sequence,
            "stream_sid": self.stream_id,
            event: content,
        }
        return orjson.dumps(tree).decode()
