"""FreeSWITCH's side of its audio modules: one JSON text, then linear audio in binary messages.

`AudioStream` is `mod_audio_stream` 1.0.3, which plays what comes as it comes. `ForkStream` is the
bidirectional `mod_audio_fork` as `lws_glue.cpp` does it: it plays nothing below 160 ms at first and
below 80 ms later, and acknowledges marks (`playout`, `cleared`). Dialled by
`freeswitch_exchange.py`, the latter by `jambonz_exchange.py` too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from telebot.audio import g711
from telebot.audio.wideband import Widen
from telebot.phone.microphone import Microphone
from telebot.phone.paced_stream import PacedStream
from telebot.phone.stream import CarrierStream, Message

FIRST_GATHERED, GATHERED = 1280, 640  # samples
MOST_MARKS = 30


class AudioStream(PacedStream):
    """`mod_audio_stream`; a script of the switch sends the keys (`send_text`)."""

    def __init__(
        self,
        metadata: Mapping[str, Any],
        microphone: Microphone,
        *,
        rate_hz: int = 8000,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self._metadata = dict(metadata) | ({"sampleRate": rate_hz} if rate_hz != 8000 else {})
        self._widen = Widen(rate_hz)

    def opening(self) -> Sequence[Message]:
        return [orjson.dumps(self._metadata).decode()]

    def media(self, ulaw: bytes) -> Message:
        return self._widen.feed(ulaw)

    def keys(self, digit: str) -> Sequence[Message]:
        return [key(digit)]

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, str):
            self.fault("a text that this module only hands on")
        elif len(message) % 2:
            self.fault("half a sample")
        else:
            self.play_now(g711.encode(message))
        return []


class ForkStream(CarrierStream):
    """`mod_audio_fork` with bidirectional streaming at 8 kHz."""

    def __init__(
        self,
        metadata: Mapping[str, Any],
        microphone: Microphone,
        *,
        rate_hz: int = 8000,
        keep_audio: bool = True,
    ) -> None:
        super().__init__(microphone, keep_audio=keep_audio)
        self._metadata = {"sampleRate": rate_hz, "mixType": "mono", **metadata}
        self._widen = Widen(rate_hz)
        self._gathered = b""
        self._needed = FIRST_GATHERED
        self._clearing = False
        self._marks = 0

    def opening(self) -> Sequence[Message]:
        return [orjson.dumps(self._metadata).decode()]

    def media(self, ulaw: bytes) -> Message:
        return self._widen.feed(ulaw)

    def keys(self, digit: str) -> Sequence[Message]:
        return [key(digit)]

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        event = "cleared" if self._clearing else "playout"
        self._marks -= len(names)
        return [
            orjson.dumps({"type": "mark", "data": {"name": name, "event": event}}).decode()
            for name in names
        ]

    def obey(self, message: Message) -> Sequence[Message]:
        if isinstance(message, bytes):
            self._gather(message)
            return []
        try:
            tree = orjson.loads(message)
        except orjson.JSONDecodeError:
            tree = None
        if not isinstance(tree, dict):
            self.fault("no JSON object")
            return []
        return self._command(tree)

    def _command(self, tree: dict[str, Any]) -> Sequence[Message]:
        match tree.get("type"):
            case "mark":
                if self._marks >= MOST_MARKS:
                    self.fault("too many marks")
                    return []
                self._marks += 1
                return self.mark(str(tree["data"]["name"]))
            case "killAudio":
                self._clearing = True
                out = self.clear()  # what is gathered stays
                self._clearing = False
                return out
            case "disconnect":
                self.disconnected()
            case other:
                self.fault(f"unsupported message {other!r}")
        return []

    def disconnected(self) -> None:
        """The server ends the fork; a script of the switch would end the call."""
        self.hung_up = True

    def _gather(self, audio: bytes) -> None:
        if len(audio) % 2:
            self.fault("half a sample")
            return
        self._gathered += audio
        if len(self._gathered) >= 2 * self._needed:
            self.play(g711.encode(self._gathered))
            self._gathered, self._needed = b"", GATHERED


def key(digit: str) -> str:
    """A key in jambonz's words."""
    return orjson.dumps({"event": "dtmf", "dtmf": digit, "duration": "1600"}).decode()
