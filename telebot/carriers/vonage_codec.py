"""Vonage's WebSocket: linear 16-bit PCM at 8 kHz in binary messages, JSON texts beside it.

https://developer.vonage.com/en/voice/voice-api/concepts/websockets . The first text,
``websocket:connected``, has the headers that the NCCO gave the stream, at its top level: the token
and the call. Each binary message holds 20 ms, 320 bytes, both ways. ``notify`` comes back as
``websocket:notify`` once what was sent before it has been played, and not at all where ``clear``
came first. There is no message for the end: Vonage closes the socket.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from orjson import dumps, loads

from telebot.audio import g711
from telebot.audio.g711 import BYTES_PER_MS
from telebot.call.errors import BadWire
from telebot.call.events import Ignored, Media, MediaEvent, Notice, Started
from telebot.carriers.codec import PlainCodec, Stamps
from telebot.carriers.fields import texts
from telebot.carriers.media_streams import (
    MAX_PARAMETERS,
    POLICY_VIOLATION,
    UNSUPPORTED_DATA,
    key_pressed,
    mark_played,
)

CONTENT_TYPE = "audio/l16;rate=8000"
PIECE_MS = 20
PIECE = PIECE_MS * BYTES_PER_MS  # bytes of mu-law
MAX_PCM_BYTES = 2 * 1000 * BYTES_PER_MS  # a second
MAX_CALL_CHARS = 64

_CLEAR = b'{"action":"clear"}'


class VonageCodec(PlainCodec):
    """Decodes and encodes one stream (a `MediaCodec`)."""

    binary = True
    close_ends = True
    piece_ms: int | None = PIECE_MS

    def __init__(self) -> None:
        self._started = False
        self._stamps = Stamps()
        self._events: dict[str, Callable[[dict[str, Any]], MediaEvent]] = {
            "websocket:dtmf": self._digit,
            "websocket:notify": self._notified,
            "notify": self._notified,
        }

    def decode_binary(self, message: bytes) -> MediaEvent:
        """The caller's audio. The hot path."""
        if not self._started:
            return Ignored("before_start")
        if not 0 < len(message) <= MAX_PCM_BYTES or len(message) % 2:
            return Ignored("bad_payload_size")
        ulaw = g711.encode(message)
        return Media(ulaw, self._stamps.next(len(ulaw)))

    def decode(self, message: bytes) -> MediaEvent:
        """One text. Raises `BadWire` on a first message that cannot be served: 1003 where the audio
        is not what was asked for, 1008 where it names no call."""
        try:
            tree = loads(message)
            event = tree["event"]
        except (ValueError, TypeError, KeyError) as error:
            return Ignored("bad_json" if isinstance(error, ValueError) else "no_event")
        if event == "websocket:connected":
            return self._connected(tree)
        if not isinstance(event, str):
            return Ignored("unknown_event")
        if read := self._events.get(event):
            return read(tree) if self._started else Ignored("before_start")
        kind, _, what = event.partition(":")
        return Notice(what) if kind == "websocket" and what else Ignored("unknown_event")

    def _connected(self, tree: dict[str, Any]) -> MediaEvent:
        if self._started:
            return Ignored("second_start")
        given = texts(tree, MAX_PARAMETERS)
        call_id = given.get("call", "")
        if not 0 < len(call_id) <= MAX_CALL_CHARS:
            raise BadWire("a stream without its call", POLICY_VIOLATION)
        if given.get("content-type", CONTENT_TYPE).replace(" ", "").lower() != CONTENT_TYPE:
            raise BadWire("audio is not what was asked for", UNSUPPORTED_DATA)
        self._started = True
        return Started(call_id, call_id, given)

    def _digit(self, tree: dict[str, Any]) -> MediaEvent:
        digit = tree.get("digit")
        if digit is None and isinstance(inner := tree.get("dtmf"), dict):  # seen in the wild
            digit = inner.get("digit")
        return key_pressed(digit)

    def _notified(self, tree: dict[str, Any]) -> MediaEvent:
        payload = tree.get("payload")
        return mark_played(payload.get("mark") if isinstance(payload, dict) else None)

    def audio(self, ulaw: bytes) -> bytes:
        """20 ms of PCM; what is shorter is filled up with silence."""
        return g711.decode(ulaw.ljust(PIECE, g711.SILENCE))

    def mark(self, name: str) -> bytes:
        """The message that comes back once everything before it was played."""
        return dumps({"action": "notify", "payload": {"mark": name}})

    def clear(self) -> bytes:
        """The message that empties the play-out buffer."""
        return _CLEAR
