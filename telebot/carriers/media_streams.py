"""The media stream of Twilio's kind: JSON text messages in and out, without I/O.

Messages: https://www.twilio.com/docs/voice/media-streams/websocket-messages . What makes no sense
is `Ignored` (counted and dropped by the socket); a stream that cannot go on is `BadWire`. Next:
`web/media_socket.py`.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from orjson import dumps, loads

from telebot.audio.g711 import RATE_HZ
from telebot.call.errors import BadWire
from telebot.call.events import (
    Connected,
    Digit,
    Ignored,
    Media,
    MediaEvent,
    Played,
    Started,
    Stopped,
)
from telebot.carriers.codec import PlainCodec

MAX_PAYLOAD_BYTES = RATE_HZ  # one second; Twilio sends 160 bytes, the docs name no limit
MAX_MARK_CHARS = 256
MAX_TIMESTAMP_DIGITS = 12  # 31 years of milliseconds
MAX_PARAMETERS = 32
UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008  # RFC 6455 section 7.4.1

_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = frozenset("0123456789*#ABCD")
_NEEDS_START = frozenset({"media", "dtmf", "mark"})


class MediaStreamCodec(PlainCodec):
    """Decodes and encodes one stream (a `MediaCodec`)."""

    def __init__(self) -> None:
        self._stream_id = ""
        self._head = self._clear = b""
        self._others: dict[str, Callable[[dict[str, Any]], MediaEvent]] = {
            "connected": lambda _: Connected(),
            "start": self._start,
            "media": self._media,
            "dtmf": self._digit,
            "mark": self._mark,
            "stop": lambda _: Stopped(),
        }

    def decode(self, message: bytes) -> MediaEvent:
        """One text message in. Raises `BadWire` on a `start` that cannot be served: 1003 where the
        audio is not 8 kHz mono mu-law, 1008 where the ids are missing."""
        try:
            tree = loads(message)
        except ValueError:  # also: not UTF-8, nested too deep
            return Ignored("bad_json")
        try:
            event = tree["event"]
            if event == "media" and self._stream_id:
                return self._media(tree)
            other = self._others.get(event)
        except (TypeError, KeyError):
            return Ignored("no_event")
        if other is None:
            return Ignored("unknown_event")
        if event in _NEEDS_START and not self._stream_id:
            return Ignored("before_start")
        return other(tree)

    def _media(self, tree: dict[str, Any]) -> MediaEvent:
        # the hot path: 50 a second and call
        if tree.get("streamSid", self._stream_id) != self._stream_id:
            return Ignored("foreign_stream")
        try:
            media = tree["media"]
            ours = media.get("track", "inbound") == "inbound"
            event = Media(a2b_base64(media["payload"], strict_mode=True), _ms(media["timestamp"]))
        except (KeyError, TypeError, AttributeError):
            return Ignored("bad_media")
        except ValueError:  # binascii.Error is one
            return Ignored("bad_base64")
        if not ours:
            return Ignored("wrong_track")
        if not 0 < len(event.ulaw) <= MAX_PAYLOAD_BYTES:
            return Ignored("bad_payload_size")
        return event

    def _start(self, tree: dict[str, Any]) -> MediaEvent:
        if self._stream_id:
            return Ignored("second_start")
        start = tree.get("start")
        if not isinstance(start, dict):
            raise BadWire("start without its object", POLICY_VIOLATION)
        stream_id, call_id = start.get("streamSid", tree.get("streamSid")), start.get("callSid")
        for sid in (stream_id, call_id):
            if not isinstance(sid, str) or not _SID.fullmatch(sid):
                raise BadWire("start without its ids", POLICY_VIOLATION)
        if not _is_phone_audio(start.get("mediaFormat")):
            raise BadWire("audio is not 8 kHz mono mu-law", UNSUPPORTED_DATA)
        self._open(str(stream_id))
        return Started(str(stream_id), str(call_id), _parameters(start.get("customParameters")))

    def _open(self, stream_id: str) -> None:
        self._stream_id = stream_id
        sid = dumps(stream_id)
        self._head = b'{"event":"media","streamSid":' + sid + b',"media":{"payload":"'
        self._clear = b'{"event":"clear","streamSid":' + sid + b"}"

    def _digit(self, tree: dict[str, Any]) -> MediaEvent:
        dtmf = tree.get("dtmf")
        digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
        if not isinstance(digit, str) or digit.upper() not in _DIGITS:
            return Ignored("bad_digit")
        return Digit(digit.upper())

    def _mark(self, tree: dict[str, Any]) -> MediaEvent:
        mark = tree.get("mark")
        name = mark.get("name") if isinstance(mark, dict) else None
        if not isinstance(name, str) or not 0 < len(name) <= MAX_MARK_CHARS:
            return Ignored("bad_mark")
        return Played(name)

    def audio(self, ulaw: bytes) -> bytes:
        """The message that plays `ulaw`; only after `Started`."""
        return self._head + b2a_base64(ulaw, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """The message that is echoed once everything before it was played."""
        return dumps({"event": "mark", "streamSid": self._stream_id, "mark": {"name": name}})

    def clear(self) -> bytes:
        """The message that empties the play-out buffer; pending marks come back at once."""
        return self._clear


def _ms(timestamp: Any) -> int:
    """Twilio writes its numbers as strings. Raises TypeError on what is no count of ms."""
    text = str(timestamp) if type(timestamp) is int else timestamp
    if type(text) is not str or len(text) > MAX_TIMESTAMP_DIGITS or not text.isdecimal():
        raise TypeError("not a timestamp")
    return int(text)


def _is_phone_audio(form: Any) -> bool:
    """True for 8 kHz mono mu-law, which also is what an unnamed format is."""
    if form is None:
        return True
    if not isinstance(form, dict):
        return False
    rate, channels = form.get("sampleRate", 8000), form.get("channels", 1)
    return form.get("encoding") == "audio/x-mulaw" and (str(rate), str(channels)) == ("8000", "1")


def _parameters(tree: Any) -> dict[str, str]:
    if not isinstance(tree, dict) or len(tree) > MAX_PARAMETERS:
        return {}
    return {name: value for name, value in tree.items() if isinstance(value, str)}
