"""The carrier's side of Vonage's WebSocket: linear PCM in binary messages, JSON texts beside it.

https://developer.vonage.com/en/voice/voice-api/concepts/websockets . Dialled by
`vonage_exchange.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from telebot.audio import g711
from telebot.phone.json_stream import JsonStream
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import Message

FRAME_BYTES = 2 * FRAME  # 20 ms of 16-bit PCM at 8 kHz
MOST_FRAMES = 3072  # of audio that Vonage keeps


class VonageStream(JsonStream):
    """One stream from Vonage's end. It ends by closing."""

    def __init__(
        self,
        content_type: str,
        headers: Mapping[str, Any],
        microphone: Microphone,
        *,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self._content_type = content_type
        self._headers = dict(headers)
        self._payloads: dict[str, Any] = {}  # of notifications that wait, by the mark's name

    def opening(self) -> Sequence[Message]:
        """websocket:connected, with the headers at its top level."""
        first = {"event": "websocket:connected", "content-type": self._content_type}
        return [_text(first | self._headers)]

    def media(self, ulaw: bytes) -> Message:
        return g711.decode(ulaw)

    def keys(self, digit: str) -> Sequence[Message]:
        return [_text({"event": "websocket:dtmf", "digit": digit, "duration": 260})]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        waiting = [self._payloads.pop(name) for name in names if name in self._payloads]
        return [_text({"event": "websocket:notify", "payload": payload}) for payload in waiting]

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, str):
            return super().obey(message)
        if len(message) != FRAME_BYTES:
            self.fault(f"a binary message is {FRAME_BYTES} bytes, not {len(message)}")
        elif self.playout.buffered > MOST_FRAMES * FRAME:
            self.fault("play-out buffer is full")
        else:
            self.play(g711.encode(message))
        return []

    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        match tree.get("action"):
            case "clear":
                self.only(tree, "action")
                self._payloads.clear()  # a notification that was cleared never comes
                return [*self.clear(), _text({"event": "websocket:cleared"})]
            case "notify":
                return self._notify(tree)
            case _:
                self.fault("unknown action")
        return []

    def _notify(self, tree: dict[str, Any]) -> Sequence[Message]:
        self.only(tree, "action", "payload")
        payload = tree.get("payload")
        if not isinstance(payload, dict):
            self.fault("a notification without its payload")
            return []
        name = str(payload.get("mark", len(self._payloads)))
        self._payloads[name] = payload
        return self.mark(name)


def _text(tree: Mapping[str, Any]) -> str:
    return orjson.dumps(tree).decode()
