"""Plivo's audio stream: JSON text messages in and out, mu-law in base64.

https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference . There
is no message for the end: Plivo closes the socket. Its timestamps count from 1970; ours from the
first frame. `extra_headers` is documented as ``a=b;c=d`` and seen as ``{a=b,c=d}`` too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from orjson import dumps

from telebot.call.events import Media, MediaEvent, Notice
from telebot.carriers.fields import pairs
from telebot.carriers.media_streams import (
    MAX_PARAMETERS,
    JsonStreamCodec,
    is_phone_audio,
    mark_played,
)

ENCODING = "audio/x-mulaw"
CONTENT_TYPE = f"{ENCODING};rate=8000"
MAX_HEADERS_CHARS = 4096

_BETWEEN = re.compile(r"[;,]")


class PlivoCodec(JsonStreamCodec):
    """Decodes and encodes one stream (a `MediaCodec`)."""

    stream_key = "streamId"
    call_key = "callId"
    format_key = "mediaFormat"
    close_ends = True

    def __init__(self) -> None:
        super().__init__()
        self._began_ms: int | None = None
        del self._others["mark"], self._others["connected"]
        self._others["playedStream"] = lambda tree: mark_played(tree.get("name"))
        self._others["clearedAudio"] = lambda _: Notice("cleared")
        self._needs_start = frozenset({"media", "dtmf", "playedStream"})

    def _is_served(self, form: Any) -> bool:
        return is_phone_audio(form, ENCODING, "sampleRate")

    def _parameters(self, tree: dict[str, Any], start: dict[str, Any]) -> Mapping[str, str]:
        headers = tree.get("extra_headers", start.get("extra_headers"))
        if not isinstance(headers, str) or len(headers) > MAX_HEADERS_CHARS:
            return {}
        return pairs(_BETWEEN.split(headers.strip("{} "))[:MAX_PARAMETERS])

    def _heard(self, audio: bytes, at_ms: int) -> MediaEvent:
        if self._began_ms is None:
            self._began_ms = at_ms
        return Media(audio, max(0, at_ms - self._began_ms))

    def _open(self, stream_id: bytes) -> None:
        self._head = (
            b'{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,'
            b'"payload":"'
        )
        self._tail = b'"}}'
        self._clear = b'{"event":"clearAudio","streamId":' + stream_id + b"}"

    def mark(self, name: str) -> bytes:
        """The message that `playedStream` answers once everything before it was played."""
        return dumps({"event": "checkpoint", "streamId": self._stream_id, "name": name})
