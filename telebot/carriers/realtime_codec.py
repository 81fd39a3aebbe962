"""The wire of `WS /v1/voice/realtime` (`docs/realtime.md`), without I/O: JSON texts and binary PCM.

A session is no carrier's: who may is decided before the first message, by an API key or a one-time
token (`web/realtime/`). Next: `web/media_stream.py`, as every wire.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from orjson import dumps, loads
from pydantic import ValidationError

from telebot.audio.line import PHONE, WIDE
from telebot.audio.wideband import Converted, Narrow, Widen
from telebot.call.errors import BadWire
from telebot.call.events import Asked, Ignored, Media, MediaEvent, Reply, Started, Stopped, Wideband
from telebot.call.ports import Clock
from telebot.carriers.codec import PlainCodec, Stamps
from telebot.voice.session_orders import ORDERS, End, Ping
from telebot.voice.sessions import BadStart, SessionRequest, first_fault

MAX_AUDIO_BYTES = 64 * 1024
MAX_FAULTS = 20
MAX_ID_CHARS = 64
SILENT_S = 1.0  # a client that sends nothing for so long has its microphone off
BAD_START, LATE, TOO_MANY, NOT_YOU, NO_MONEY = 4400, 4408, 4429, 4401, 4402
GOING_AWAY, OUR_FAULT = 1001, 1011  # RFC 6455 section 7.4.1


class RealtimeCodec(PlainCodec):
    """One session's. `request` is what was fixed before its `start`, and afterwards all of it;
    `session` names it. A client of 8 kHz has a telephone's line, every other a wide one. `direct`:
    audio is handed on, and taken, as it is, at the session's own rate."""

    binary = True
    close_ends = True
    echoes_marks = False
    says_every_end = True
    close_codes: Mapping[str, int] = MappingProxyType(
        {
            "no_start": LATE,
            "stream_lost": LATE,
            "unknown_number": BAD_START,
            "not_authentic": NOT_YOU,
            "flood": TOO_MANY,
            "capacity": TOO_MANY,
            "draining": GOING_AWAY,
            "drained": GOING_AWAY,
            "server_error": OUR_FAULT,
            "budget": NO_MONEY,
        }
    )

    def __init__(
        self, session: str, request: SessionRequest, clock: Clock = time.monotonic
    ) -> None:
        self._session = session
        self.request = request
        self.direct = False
        self.fault: tuple[str, str] | None = None  # why the session ends, for its client
        self.reason: Callable[[], str | None] = lambda: None  # for which we have hung up
        self._close_code = 0  # where it is decided already
        self._started = False
        self._faults = 0
        self._hear: Narrow | Converted = Narrow(8000)
        self._speak: Widen | Converted = Widen(8000)
        self._odd = b""
        self._stamps = Stamps(clock, silent_s=SILENT_S)
        self.began = clock()  # and anew by `start`

    def decode(self, message: bytes) -> MediaEvent:
        """One text message. Raises `BadWire` (4400) on a `start` that cannot be served, and after
        too many messages that mean nothing."""
        try:
            tree: Any = loads(message)
        except ValueError:  # also: not UTF-8, nested too deep
            return self._wrong("bad_json", "This is no JSON.")
        if not isinstance(tree, dict):
            return self._wrong("bad_json", "A message is a JSON object.")
        return self._order(tree) if self._started else self._start(tree)

    def _order(self, tree: dict[str, Any]) -> MediaEvent:
        kind, name = tree.get("type"), _id(tree)
        model = ORDERS.get(kind) if isinstance(kind, str) else None
        if model is None:
            known = ", ".join(ORDERS)
            return self._wrong("unknown_type", f"The types of messages are {known}.", name)
        try:
            order = model.model_validate(tree)
        except ValidationError as error:
            return self._wrong(*first_fault(error), name)
        if isinstance(order, Ping):
            return Reply(dumps({"type": "pong", "id": order.id}))
        return Stopped() if isinstance(order, End) else Asked(order)

    def decode_binary(self, message: bytes) -> MediaEvent:
        """The client's audio, of any length; half a sample waits for its other half."""
        if not self._started:
            return self._wrong("before_start", "Send start first.")
        if len(message) > MAX_AUDIO_BYTES:
            return self._wrong("too_large", f"At most {MAX_AUDIO_BYTES} bytes of audio at once.")
        if self._odd or len(message) % 2:
            message = self._odd + message
            whole = len(message) // 2 * 2
            message, self._odd = message[:whole], message[whole:]
        if not message:
            return Ignored("empty")
        if self.direct:
            return Wideband(message)
        audio = self._hear.feed(message)
        ticks = self.line.hears.ticks(audio)
        return Media(audio, self._stamps.next(ticks)) if ticks else Ignored("short")

    def _start(self, tree: dict[str, Any]) -> MediaEvent:
        if tree.get("type") != "start":
            return self._wrong("before_start", "Send start first.", _id(tree))
        told = {name: value for name, value in tree.items() if name not in ("type", "id")}
        try:
            self.request = self.request.started(told)
        except BadStart as bad:
            self.fault = bad.code, str(bad)
            raise BadWire(str(bad), BAD_START) from None
        self._listen(self.request.sample_rate)
        self._started = True
        self.began = self._stamps.begin()
        return Started(self._session, self._session, {})

    def _listen(self, rate_hz: int) -> None:
        if rate_hz > PHONE.says.rate_hz:
            self.line = WIDE
            self._hear = Converted(rate_hz, WIDE.hears.rate_hz, WIDE.hears.bytes_a_tick)
            self._speak = Converted(WIDE.says.rate_hz, rate_hz)

    def _wrong(self, code: str, message: str, name: str | None = None) -> MediaEvent:
        """Say so. Raises `BadWire` when there is too much of it."""
        self._faults += 1
        if self._faults > MAX_FAULTS:
            self.fault = "too_many_faults", "Too many messages that mean nothing."
            raise BadWire("too many meaningless messages", BAD_START)
        return Reply(error(code, message, name))

    def audio(self, audio: bytes) -> bytes:
        """PCM of the session's rate; where the session is `direct` it is that already."""
        return audio if self.direct else self._speak.feed(audio)

    def clear(self) -> bytes:
        """Drop what was not played yet."""
        return b'{"type":"clear"}'

    def turned_away(self, close_code: int, code: str, message: str) -> None:
        """It ends for this, whatever reason its record has."""
        self.fault, self._close_code = (code, message), close_code

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """Why it ends; a fault that ends it is told before."""
        hung_up = self.reason()
        ours = hung_up or reason
        code = self._close_code or RealtimeCodec.close_codes.get(hung_up or "")
        if code is not None:
            self.close_codes = MappingProxyType({**self.close_codes, reason: code})
        ended = dumps({"type": "ended", "reason": ours})
        if self.fault is None:
            return (ended,)
        return error(*self.fault, fatal=True), ended


def error(code: str, message: str, name: str | None = None, *, fatal: bool = False) -> bytes:
    """The message that says what is wrong."""
    told: dict[str, Any] = {"type": "error", "code": code, "message": message, "fatal": fatal}
    return dumps({**told, "id": name} if name is not None else told)


def _id(tree: Mapping[str, Any]) -> str | None:
    """The name by which a message that is not understood wants its answer."""
    name = tree.get("id")
    return name if isinstance(name, str) and len(name) <= MAX_ID_CHARS else None
