"""The wire of Asterisk's `chan_websocket`: binary audio, and control messages as text, in both of
the formats that it knows.

https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/ and `channels/chan_websocket.c`.
Asterisk re-times what it gets, so audio may be ahead; it keeps up to 20 s of it, and a message of
audio must be whole frames (`optimal_frame_size`), or its end is dropped. A command is 128 bytes at
most. There is no message that says goodbye: Asterisk closes the socket. Next:
`web/media_stream.py`.
"""

from __future__ import annotations

import audioop
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4

from orjson import dumps, loads

from telebot.audio import g711
from telebot.audio.wideband import Narrow, Widen
from telebot.call.errors import BadWire
from telebot.call.events import (
    Digit,
    Ignored,
    Media,
    MediaEvent,
    Notice,
    Played,
    Started,
)
from telebot.carriers.codec import PlainCodec, Stamps

UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008  # RFC 6455 section 7.4.1
MAX_COMMAND_BYTES = 128
MAX_AUDIO_BYTES = 65_500
MAX_ID_CHARS = 128
LINEAR = {
    "slin": 8000,
    "slin12": 12_000,
    "slin16": 16_000,
    "slin24": 24_000,
    "slin32": 32_000,
    "slin44": 44_100,
    "slin48": 48_000,
}
NOTICES = frozenset({"MEDIA_XOFF", "MEDIA_XON", "STATUS", "QUEUE_DRAINED", "ERROR"})
MARKS = frozenset({"MEDIA_MARK_PROCESSED", "MEDIA_BUFFERING_COMPLETED"})

_DIGITS = frozenset("0123456789*#ABCD")
_Coder = Callable[[bytes], bytes]


class AsteriskCodec(PlainCodec):
    """One stream. `parameters` are those of the URL that Asterisk asked for (`v()` of its dial
    string): `token`, or `id`, `from`, `to`, `agent`."""

    binary = True
    close_ends = True
    piece_ms: int | None = 20

    def __init__(self, parameters: Mapping[str, str]) -> None:
        self._parameters = parameters
        self._json = self._started = False
        self._frame = 160  # bytes of audio that Asterisk plays as one
        self._silence = g711.SILENCE
        self._hear: _Coder = _same
        self._speak: _Coder = _same
        self._stamps = Stamps()

    def decode(self, message: bytes) -> MediaEvent:
        """One control message. Raises `BadWire` on a `MEDIA_START` that cannot be served: 1003 on a
        format we cannot decode, 1008 where it names none."""
        told = _json_event(message) if message[:1] == b"{" else _plain_event(message)
        if isinstance(told, Ignored):
            return told
        name, fields = told
        if name == "MEDIA_START":
            return self._start(fields, json=message[:1] == b"{")
        if not self._started:
            return Ignored("before_start")
        if name == "DTMF_END":
            digit = fields.get("digit", "").upper()
            return Digit(digit) if digit in _DIGITS and digit else Ignored("bad_digit")
        if name in MARKS:
            mark = fields.get("correlation_id", "")
            return Played(mark) if mark else Notice(name)
        return Notice(name) if name in NOTICES else Ignored("unknown_event")

    def decode_binary(self, message: bytes) -> MediaEvent:
        """Caller audio, 20 ms of it."""
        if not self._started:
            return Ignored("before_start")
        if not 0 < len(message) <= MAX_AUDIO_BYTES:
            return Ignored("bad_payload_size")
        ulaw = self._hear(message)
        return Media(ulaw, self._stamps.next(len(ulaw))) if ulaw else Ignored("bad_payload_size")

    def _start(self, fields: Mapping[str, str], *, json: bool) -> MediaEvent:
        if self._started:
            return Ignored("second_start")
        stream_id = fields.get("connection_id", "")
        if not 0 < len(stream_id) <= MAX_ID_CHARS:
            raise BadWire("MEDIA_START without its connection", POLICY_VIOLATION)
        self._set_format(fields.get("format", ""), fields.get("optimal_frame_size", ""))
        self._started, self._json = True, json
        # the connection's name is no call's own, and old versions tell no channel's id
        call_id = self._parameters.get("id") or fields.get("channel_id") or uuid4().hex
        return Started(stream_id, call_id[:MAX_ID_CHARS], self._parameters)

    def _set_format(self, name: str, frame_bytes: str) -> None:
        if name == "alaw":
            self._hear, self._speak, self._silence = _from_alaw, _to_alaw, _to_alaw(g711.SILENCE)
        elif name in LINEAR:
            self._hear, self._speak = Narrow(LINEAR[name]).feed, Widen(LINEAR[name]).feed
            self._silence = b"\0"
        elif name != "ulaw":
            raise BadWire(f"{name or 'no format'}: dial with c(ulaw)", UNSUPPORTED_DATA)
        if not frame_bytes.isdecimal() or not 0 < int(frame_bytes[:6]) <= MAX_AUDIO_BYTES:
            raise BadWire("a frame has no size (passthrough mode?)", UNSUPPORTED_DATA)
        self._frame = int(frame_bytes)

    def audio(self, ulaw: bytes) -> bytes:
        """Whole frames; the end of an utterance is filled up with silence."""
        audio = self._speak(ulaw)
        odd = len(audio) % self._frame
        return audio + self._silence * (self._frame - odd) if odd else audio

    def mark(self, name: str) -> bytes:
        """`MARK_MEDIA` goes with the JSON format; where that is not there, the end of a bulk
        transfer that never began is told just so."""
        if self._json:
            return self._command("MARK_MEDIA", name)
        return self._command("STOP_MEDIA_BUFFERING", name)

    def clear(self) -> bytes:
        """Drops the queue; marks in it are not told any more."""
        return self._command("FLUSH_MEDIA")

    def accepted(self) -> Sequence[bytes]:
        """For a channel that is dialled with `n`; one that answers by itself does so once."""
        return (self._command("ANSWER"),)

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """Ends the dialled channel: the dialplan goes on behind its `Dial`."""
        return (self._command("HANGUP"),) if self._started else ()

    def _command(self, name: str, mark: str = "") -> bytes:
        if self._json:
            tree = {"command": name, "correlation_id": mark} if mark else {"command": name}
            return dumps(tree)
        return f"{name} {mark}".rstrip().encode()


def _same(audio: bytes) -> bytes:
    return audio


def _from_alaw(alaw: bytes) -> bytes:
    return audioop.lin2ulaw(audioop.alaw2lin(alaw, 2), 2)


def _to_alaw(ulaw: bytes) -> bytes:
    return audioop.lin2alaw(audioop.ulaw2lin(ulaw, 2), 2)


def _json_event(message: bytes) -> tuple[str, dict[str, str]] | Ignored:
    try:
        tree: Any = loads(message)
    except ValueError:
        return Ignored("bad_json")
    name = tree.get("event")
    if not isinstance(name, str):
        return Ignored("no_event")
    return name, {key: str(value) for key, value in tree.items() if isinstance(value, str | int)}


def _plain_event(message: bytes) -> tuple[str, dict[str, str]] | Ignored:
    """``NAME name:value …``; of a mark the rest is its id."""
    try:
        name, _, rest = message.decode("utf-8").strip().partition(" ")
    except UnicodeDecodeError:
        return Ignored("bad_text")
    if not name:
        return Ignored("no_event")
    if name in MARKS:
        return name, {"correlation_id": rest}
    pairs = (word.partition(":") for word in rest.split())
    return name, {key: value for key, _, value in pairs}
