"""Media streams of Twilio's kind: JSON text messages in and out, without I/O.

Messages: https://www.twilio.com/docs/voice/media-streams/websocket-messages . Other carriers have
the same ones under other names, which a subclass gives. What makes no sense is `Ignored` (counted
and dropped by the socket); a stream that cannot go on is `BadWire`. Next: `web/media_socket.py`.
"""

from __future__ import annotations

import re
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Mapping
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
from telebot.carriers.fields import texts

MAX_PAYLOAD_BYTES = RATE_HZ  # one second; Twilio sends 160 bytes, the docs name no limit
MAX_MARK_CHARS = 256
MAX_TIMESTAMP_DIGITS = 15  # also of clocks that count from 1970
MAX_PARAMETERS = 32
UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008  # RFC 6455 section 7.4.1

_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_DIGITS = frozenset("0123456789*#ABCD")
_NEEDS_START = frozenset({"media", "dtmf", "mark"})


class JsonStreamCodec(PlainCodec):
    """Decodes and encodes one stream (a `MediaCodec`). What a subclass may say otherwise: the names
    of the stream's and the call's id, of the webhook answer's parameters, and of an event."""

    stream_key = ""  # in every message
    call_key = ""  # in `start`
    parameters_key = ""  # in `start`
    format_key = ""  # in `start`
    call_id_form = _SID
    max_payload_bytes = MAX_PAYLOAD_BYTES

    def __init__(self) -> None:
        self._stream_id = ""
        self._head = self._tail = self._clear = b""
        self._needs_start = _NEEDS_START
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
        audio is not what was asked for, 1008 where the ids are missing."""
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
        if event in self._needs_start and not self._stream_id:
            return Ignored("before_start")
        return other(tree)

    def _media(self, tree: dict[str, Any]) -> MediaEvent:
        # the hot path: 50 a second and call
        if tree.get(self.stream_key, self._stream_id) != self._stream_id:
            return Ignored("foreign_stream")
        try:
            media = tree["media"]
            ours = media.get("track", "inbound") == "inbound"
            audio = a2b_base64(media["payload"], strict_mode=True)
            at_ms = milliseconds(media["timestamp"])
        except (KeyError, TypeError, AttributeError):
            return Ignored("bad_media")
        except ValueError:  # binascii.Error is one
            return Ignored("bad_base64")
        if not ours:
            return Ignored("wrong_track")
        if not 0 < len(audio) <= self.max_payload_bytes:
            return Ignored("bad_payload_size")
        return self._heard(audio, at_ms)

    def _heard(self, audio: bytes, at_ms: int) -> MediaEvent:
        """The caller's audio as the wire has it, `at_ms` milliseconds by the wire's clock."""
        return Media(audio, at_ms)

    def _start(self, tree: dict[str, Any]) -> MediaEvent:
        if self._stream_id:
            return Ignored("second_start")
        start = tree.get("start")
        if not isinstance(start, dict):
            raise BadWire("start without its object", POLICY_VIOLATION)
        stream_id = start.get(self.stream_key, tree.get(self.stream_key))
        call_id = start.get(self.call_key)
        if not _is(stream_id, _SID) or not _is(call_id, self.call_id_form):
            raise BadWire("start without its ids", POLICY_VIOLATION)
        if not self._is_served(start.get(self.format_key)):
            raise BadWire("audio is not what was asked for", UNSUPPORTED_DATA)
        self._stream_id = str(stream_id)
        self._open(dumps(stream_id))
        return Started(self._stream_id, str(call_id), self._parameters(tree, start))

    def _is_served(self, form: Any) -> bool:
        """Whether the audio's format is the one that was asked for."""
        raise NotImplementedError

    def _parameters(self, tree: dict[str, Any], start: dict[str, Any]) -> Mapping[str, str]:
        """What the webhook's answer has given the stream."""
        return texts(start.get(self.parameters_key), MAX_PARAMETERS)

    def _open(self, stream_id: bytes) -> None:
        """The stream's id is known (as JSON): make what every message begins and ends with."""
        ours = b'"%s":%s' % (self.stream_key.encode(), stream_id)
        self._head = b'{"event":"media",' + ours + b',"media":{"payload":"'
        self._tail = b'"}}'
        self._clear = b'{"event":"clear",' + ours + b"}"

    def _digit(self, tree: dict[str, Any]) -> MediaEvent:
        dtmf = tree.get("dtmf")
        digit = dtmf.get("digit") if isinstance(dtmf, dict) else None
        return key_pressed(digit)

    def _mark(self, tree: dict[str, Any]) -> MediaEvent:
        mark = tree.get("mark")
        return mark_played(mark.get("name") if isinstance(mark, dict) else None)

    def audio(self, ulaw: bytes) -> bytes:
        """The message that plays `ulaw`; only after `Started`."""
        return self._head + b2a_base64(ulaw, newline=False) + self._tail

    def mark(self, name: str) -> bytes | None:
        """The message that is echoed once everything before it was played."""
        return dumps({"event": "mark", self.stream_key: self._stream_id, "mark": {"name": name}})

    def clear(self) -> bytes | None:
        """The message that empties the play-out buffer; pending marks come back at once."""
        return self._clear


class MediaStreamCodec(JsonStreamCodec):
    """Twilio's names."""

    stream_key = "streamSid"
    call_key = "callSid"
    parameters_key = "customParameters"
    format_key = "mediaFormat"

    def _is_served(self, form: Any) -> bool:
        return is_phone_audio(form, "audio/x-mulaw", "sampleRate")


def key_pressed(digit: Any) -> MediaEvent:
    """A key that a message names."""
    if not isinstance(digit, str) or digit.upper() not in _DIGITS:
        return Ignored("bad_digit")
    return Digit(digit.upper())


def mark_played(name: Any) -> MediaEvent:
    """A mark that a message names."""
    if not isinstance(name, str) or not 0 < len(name) <= MAX_MARK_CHARS:
        return Ignored("bad_mark")
    return Played(name)


def milliseconds(timestamp: Any) -> int:
    """A count of milliseconds, often written as text. Raises TypeError where it is none."""
    text = str(timestamp) if type(timestamp) is int else timestamp
    if type(text) is not str or len(text) > MAX_TIMESTAMP_DIGITS or not text.isdecimal():
        raise TypeError("not a timestamp")
    return int(text)


def is_phone_audio(form: Any, encoding: str, rate_key: str) -> bool:
    """True for 8 kHz mono in that encoding, which also is what an unnamed format is."""
    if form is None:
        return True
    if not isinstance(form, dict):
        return False
    rate, channels = form.get(rate_key, 8000), form.get("channels", 1)
    return form.get("encoding") == encoding and (str(rate), str(channels)) == ("8000", "1")


def _is(value: Any, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
