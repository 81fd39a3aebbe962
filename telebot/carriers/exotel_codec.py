"""Exotel's stream: Twilio's messages under other names, with linear PCM in them.

https://developer.exotel.com/docs/agentstream/stream-voicebot-applet and
https://developer.exotel.com/docs/agentstream/websocket-protocol . 16-bit, little-endian, 8 kHz, in
base64; to Exotel at least 3,200 bytes (200 ms; the page says 100) in a message, and whole multiples
of 320. What `encoding` is called differs between the pages (``raw``, ``audio/x-raw``, ``base64``),
so all that is not another codec is taken.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from typing import Any

from telebot.audio import g711
from telebot.audio.g711 import BYTES_PER_MS
from telebot.call.events import Ignored, Media, MediaEvent
from telebot.carriers.fields import texts
from telebot.carriers.media_streams import MAX_PARAMETERS, MAX_PAYLOAD_BYTES, JsonStreamCodec

PIECE_MS = 200
PIECE = PIECE_MS * BYTES_PER_MS  # bytes of mu-law, half of what goes out
OTHER_CODECS = ("mulaw", "ulaw", "alaw", "opus", "pcmu", "pcma")


class ExotelCodec(JsonStreamCodec):
    """Decodes and encodes one stream (a `MediaCodec`). `token` is the one that the stream's URL has
    shown the ticket of, '' where it showed none."""

    stream_key = "stream_sid"
    call_key = "call_sid"
    parameters_key = "custom_parameters"
    format_key = "media_format"
    max_payload_bytes = 2 * MAX_PAYLOAD_BYTES
    piece_ms: int | None = PIECE_MS

    def __init__(self, token: str = "") -> None:
        super().__init__()
        self._token = token

    def _is_served(self, form: Any) -> bool:
        if form is None:
            return True
        if not isinstance(form, dict):
            return False
        encoding = str(form.get("encoding", "")).lower()
        if any(name in encoding for name in OTHER_CODECS):
            return False
        return str(form.get("sample_rate", 8000)) == "8000"

    def _parameters(self, tree: dict[str, Any], start: dict[str, Any]) -> Mapping[str, str]:
        given = texts(start.get("custom_parameters"), MAX_PARAMETERS)
        given.pop("token", None)  # one that is ours comes by a ticket
        numbers = {name: start[name] for name in ("from", "to") if isinstance(start.get(name), str)}
        return given | numbers | ({"token": self._token} if self._token else {})

    def _heard(self, audio: bytes, at_ms: int) -> MediaEvent:
        if len(audio) % 2:
            return Ignored("bad_payload_size")
        return Media(g711.encode(audio), at_ms)

    def audio(self, ulaw: bytes) -> bytes:
        """The message that plays `ulaw`, filled up with silence."""
        pcm16 = g711.decode(ulaw.ljust(PIECE, g711.SILENCE))
        return self._head + b2a_base64(pcm16, newline=False) + self._tail
