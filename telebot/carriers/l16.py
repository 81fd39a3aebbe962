"""The wires of FreeSWITCH's kind: one JSON text first, then linear audio in binary messages.

`L16Codec` is that alone: nothing is acknowledged, so audio is sent in time. `ForkCodec` adds the
commands of the bidirectional `mod_audio_fork` (its README and `lws_glue.cpp`, in the repository
freeswitch-modules of jambonz at GitHub): marks, and taking audio back. Next: `web/media_stream.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from orjson import dumps, loads

from telebot.audio.wideband import Narrow, Widen
from telebot.call.errors import BadWire
from telebot.call.events import Digit, Ignored, Media, MediaEvent, Notice, Played, Started
from telebot.carriers.codec import PacedCodec, PlainCodec, Stamps

UNSUPPORTED_DATA, POLICY_VIOLATION = 1003, 1008  # RFC 6455 section 7.4.1
RATES_HZ = (8000, 16_000, 24_000, 32_000, 48_000)
MAX_ID_CHARS = 128
MAX_PARAMETERS = 64
MAX_AUDIO_BYTES = 64 * 1024
OUT_HZ = 8000
GATHERED_MS = 80  # what the module waits for before it plays
GATHERED_BYTES = GATHERED_MS * OUT_HZ // 1000 * 2

_DIGITS = frozenset("0123456789*#ABCD")


class L16Codec(PlainCodec):
    """One stream. `known` are the parameters of the URL that opened it; those of the first message
    go before them. `id_name` is the call's id there."""

    binary = True
    close_ends = True
    id_name = "id"

    def __init__(self, known: Mapping[str, str]) -> None:
        self._known = known
        self._started = False
        self._hear = Narrow(OUT_HZ)
        self._speak = Widen(OUT_HZ)
        self._stamps = Stamps()

    def decode(self, message: bytes) -> MediaEvent:
        """One text message. Raises `BadWire` on a first one that cannot be served: 1003 where the
        audio is stereo or of another rate, 1008 where it names no call."""
        try:
            tree: Any = loads(message)
        except ValueError:
            return Ignored("bad_json")
        if not isinstance(tree, dict):
            return Ignored("no_object")
        if not self._started:
            return self._start(tree)
        if tree.get("event") == "dtmf":
            return _digit(tree.get("dtmf"))
        return self._other(tree)

    def decode_binary(self, message: bytes) -> MediaEvent:
        """Caller audio of any length."""
        if not self._started:
            return Ignored("before_start")
        if not 0 < len(message) <= MAX_AUDIO_BYTES:
            return Ignored("bad_payload_size")
        ulaw = self._hear.feed(message)
        return Media(ulaw, self._stamps.next(len(ulaw))) if ulaw else Ignored("bad_payload_size")

    def _other(self, tree: Mapping[str, Any]) -> MediaEvent:
        """A text message behind the first, that is no key."""
        return Ignored("unknown_message")

    def _start(self, tree: dict[str, Any]) -> MediaEvent:
        if "event" in tree or "type" in tree:
            return Ignored("before_start")
        told = {name: value for name, value in tree.items() if isinstance(value, str)}
        parameters = {**self._known, **told} if len(tree) <= MAX_PARAMETERS else {}
        call_id = parameters.get(self.id_name, "")
        if not 0 < len(call_id) <= MAX_ID_CHARS:
            raise BadWire(f"no {self.id_name} in the first message", POLICY_VIOLATION)
        rate = tree.get("sampleRate", self._known.get("sampleRate", OUT_HZ))
        if str(rate) not in map(str, RATES_HZ) or tree.get("mixType", "mono") != "mono":
            raise BadWire(f"{rate} Hz, {tree.get('mixType', 'mono')}", UNSUPPORTED_DATA)
        self._hear = Narrow(int(rate))
        self._started = True
        return Started(call_id, call_id, parameters)

    def audio(self, ulaw: bytes) -> bytes:
        """Linear audio at 8 kHz."""
        return self._speak.feed(ulaw)


class PacedL16Codec(PacedCodec, L16Codec):
    """A peer that tells nothing of what it played."""

    binary = True
    close_ends = True


class ForkCodec(L16Codec):
    """With marks and with taking back. The module gathers 80 ms before it plays and keeps what is
    less for the next audio, also when the rest is taken back: so it gets no less."""

    piece_ms: int | None = GATHERED_MS

    def _other(self, tree: Mapping[str, Any]) -> MediaEvent:
        data = tree.get("data")
        if tree.get("type") == "mark" and isinstance(data, dict):
            name = data.get("name")
            return Played(name) if isinstance(name, str) and name else Ignored("bad_mark")
        return Notice("playDone") if tree.get("type") == "playDone" else super()._other(tree)

    def audio(self, ulaw: bytes) -> bytes:
        """Linear audio at 8 kHz, the end of an utterance with silence behind it."""
        audio = super().audio(ulaw)
        return audio.ljust(GATHERED_BYTES, b"\0")

    def mark(self, name: str) -> bytes:
        """Comes back as `playout` or, taken back, as `cleared`."""
        return dumps({"type": "mark", "data": {"name": name}})

    def clear(self) -> bytes:
        """Drops everything that waits to be played."""
        return b'{"type":"killAudio"}'

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """Ends the fork, not the call."""
        return (b'{"type":"disconnect"}',) if self._started else ()


def _digit(key: Any) -> MediaEvent:
    digit = key.upper() if isinstance(key, str) else ""
    return Digit(digit) if digit in _DIGITS and digit else Ignored("bad_digit")
