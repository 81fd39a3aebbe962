"""The carrier's side of Plivo's audio stream: JSON text messages.

Shapes: https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference .
Dialled by `plivo_exchange.py`.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Sequence
from typing import Any

import orjson

from telebot.audio.g711 import RATE_HZ
from telebot.phone.json_stream import JsonStream, inner
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.stream import Message

ENCODING = "audio/x-mulaw"


class PlivoStream(JsonStream):
    """One audio stream from Plivo's end. It ends by closing."""

    def __init__(
        self,
        call_id: str,
        account_id: str,
        extra_headers: str,
        microphone: Microphone,
        *,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self.stream_id = str(uuid.uuid4())
        self._call_id = call_id
        self._account_id = account_id
        self._extra_headers = extra_headers
        self._sequence = 0
        self._began_ms = round(time.time() * 1000)

    def opening(self) -> Sequence[Message]:
        """start."""
        start = {
            "callId": self._call_id,
            "streamId": self.stream_id,
            "accountId": self._account_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": ENCODING, "sampleRate": RATE_HZ},
        }
        return [self._message("start", {"start": start, "extra_headers": self._extra_headers})]

    def media(self, ulaw: bytes) -> Message:
        media = {
            "track": "inbound",
            "timestamp": self._now(self.frames_sent * FRAME),
            "chunk": self.frames_sent + 1,
            "payload": base64.b64encode(ulaw).decode("ascii"),
        }
        return self._told("media", {"media": media, "extra_headers": self._extra_headers})

    def keys(self, digit: str) -> Sequence[Message]:
        dtmf = {"track": "inbound", "digit": digit, "timestamp": self._now(self.position)}
        return [self._told("dtmf", {"dtmf": dtmf, "extra_headers": self._extra_headers})]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        return [self._told("playedStream", {"name": name}) for name in names]

    def told(self, tree: dict[str, Any]) -> Sequence[Message]:
        match tree.get("event"):
            case "playAudio":
                self._play_audio(tree)
            case "checkpoint":
                if self._is_ours(tree, "name"):
                    name = tree.get("name")
                    return self.mark_named(name if isinstance(name, str) else None)
            case "clearAudio":
                if self._is_ours(tree):
                    return [*self.clear(), self._told("clearedAudio", {})]
            case _:
                self.fault("unknown event")
        return []

    def _play_audio(self, tree: dict[str, Any]) -> None:
        media = tree.get("media")
        self.only(tree, "event", "media", "streamId")
        form = (media.get("contentType"), media.get("sampleRate")) if isinstance(media, dict) else 0
        if form != (ENCODING, RATE_HZ):
            self.fault("audio of another kind than the stream's")
        else:
            self.queue(inner(tree, "media", "payload"))

    def _is_ours(self, tree: dict[str, Any], *more: str) -> bool:
        self.only(tree, "event", "streamId", *more)
        if tree.get("streamId") != self.stream_id:
            self.fault("wrong streamId")
            return False
        return True

    def _now(self, samples: int) -> str:
        return str(self._began_ms + samples * 1000 // RATE_HZ)

    def _told(self, event: str, content: dict[str, Any]) -> str:
        return self._message(event, {"streamId": self.stream_id, **content})

    def _message(self, event: str, content: dict[str, Any]) -> str:
        self._sequence += 1
        tree = {"event": event, "sequenceNumber": self._sequence, **content}
        return orjson.dumps(tree).decode()
