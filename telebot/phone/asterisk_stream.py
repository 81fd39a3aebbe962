"""Asterisk's side of its media WebSocket, as `channels/chan_websocket.c` does it: 20 ms frames of
mu-law both ways, control messages as JSON or plain text.

It cuts what it gets into frames and drops what is left over, keeps 1,000 of them, and takes no
command of more than 128 bytes. Dialled by `asterisk_exchange.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import CarrierStream, Message

MAX_COMMAND_BYTES = 128
MAX_AUDIO_BYTES = 65_500
QUEUE, XOFF, XON = 1000, 900, 800  # frames


class AsteriskStream(CarrierStream):
    """One WebSocket channel, dialled with ``c(ulaw)n``."""

    def __init__(
        self,
        channel_id: str,
        microphone: Microphone,
        *,
        json: bool = True,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.answered = False
        self._channel_id = channel_id
        self._json = json
        self._flushing = self._full = False

    def opening(self) -> Sequence[Message]:
        """MEDIA_START."""
        fields: dict[str, Any] = {
            "connection_id": "telebot",
            "channel": "WebSocket/telebot/0x5140001a0040",
            "channel_id": f"{self._channel_id}0",
            "format": "ulaw",
            "optimal_frame_size": FRAME,
            "ptime": 20,
        }
        if self._json:
            fields["channel_variables"] = {"DIALEDPEERNUMBER": "telebot/c(ulaw)"}
        return [self._event("MEDIA_START", fields)]

    def media(self, ulaw: bytes) -> Message:
        return ulaw

    def keys(self, digit: str) -> Sequence[Message]:
        return [self._event("DTMF_END", {"digit": digit, "channel_id": self._channel_id})]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        """A queue that is flushed tells nothing."""
        if self._flushing:
            return []
        return [self._mark_event(name) for name in names]

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, bytes):
            return self._queue(message)
        if len(message.encode()) > MAX_COMMAND_BYTES:
            self.fault("a command of more than 128 bytes")
            return []
        name, mark = self._command(message)
        match name:
            case "ANSWER":
                self.answered = True
            case "HANGUP":
                self.hung_up = True
            case "FLUSH_MEDIA":
                self._flushing = True
                self.clear()
                self._flushing = False
            case "MARK_MEDIA" | "STOP_MEDIA_BUFFERING":
                return self.mark(mark)
            case _:
                self.fault(f"unknown command {name!r}")
        return []

    def _queue(self, audio: bytes) -> Sequence[Message]:
        if len(audio) > MAX_AUDIO_BYTES:
            self.fault("a message of more than 65,500 bytes")
            self.hung_up = True
            return []
        if self.playout.buffered // FRAME >= QUEUE:
            self.fault("the queue is full")
            return []
        if odd := len(audio) % FRAME:
            self.fault(f"{odd} bytes that make no frame")
            audio = audio[:-odd]
        self.play(audio)
        if self.playout.buffered // FRAME >= XOFF and not self._full:
            self._full = True
            return [self._event("MEDIA_XOFF", {"channel_id": self._channel_id})]
        return []

    def advance(self, now_s: float) -> list[Message]:
        out = super().advance(now_s)
        if self._full and self.playout.buffered // FRAME < XON:
            self._full = False
            out.append(self._event("MEDIA_XON", {"channel_id": self._channel_id}))
        return out

    def _command(self, message: str) -> tuple[str, str]:
        if not self._json:
            name, _, mark = message.strip().partition(" ")
            return name, mark
        try:
            tree = orjson.loads(message)
            return str(tree["command"]), str(tree.get("correlation_id", ""))
        except (orjson.JSONDecodeError, TypeError, KeyError):
            return message, ""

    def _mark_event(self, name: str) -> Message:
        event = "MEDIA_MARK_PROCESSED" if self._json else "MEDIA_BUFFERING_COMPLETED"
        if self._json:
            return self._event(event, {"channel_id": self._channel_id, "correlation_id": name})
        return f"{event} {name}"

    def _event(self, name: str, fields: dict[str, Any]) -> str:
        if self._json:
            return orjson.dumps({"event": name, **fields}).decode()
        if name in ("MEDIA_XOFF", "MEDIA_XON"):
            return name
        return " ".join((name, *(f"{key}:{value}" for key, value in fields.items())))
