"""The carrier's side of a Twilio media stream, without I/O and with the clock as a parameter.

`open` begins the stream, `advance(now_s)` sends the caller's frames and plays the bot's audio up
to now, `receive` takes a message of the server; each answers with the messages to send. Shapes are
those of https://www.twilio.com/docs/voice/media-streams/websocket-messages. What the server does
against the protocol is counted in `faults`, never raised. The asyncio shell is `line.py`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from telebot.audio.g711 import RATE_HZ
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.playout import PlayOut
from telebot.phone.resumption import KEPT, Resumption

MAX_FAULTS = 100  # kept; more are only counted


@dataclass(frozen=True, slots=True)
class StreamIds:
    """Twilio's identifiers: MZ…, CA… and AC…, 32 hexadecimal digits each."""

    stream_sid: str
    call_sid: str
    account_sid: str


@dataclass(frozen=True, slots=True)
class Happening:
    """What the server asked for, by the call's clock: ``media`` (`amount` samples), ``mark``,
    ``clear`` (`amount` samples dropped); ``resumed``: it went on with what it had cleared;
    ``played`` is a mark acknowledged, ``dtmf`` a key sent."""

    position: int
    name: str
    detail: str = ""
    amount: int = 0


class TwilioStream:
    """One media stream from the carrier's end. Times are monotonic seconds."""

    def __init__(
        self,
        ids: StreamIds,
        parameters: Mapping[str, str],
        microphone: Microphone,
        *,
        keep_audio: bool = True,
    ) -> None:
        self.ids = ids
        self.parameters = dict(parameters)
        self.microphone = microphone
        self.playout = PlayOut(keep_audio=keep_audio)
        self.happenings: list[Happening] = []
        self.faults: list[str] = []
        self.fault_count = 0
        self.frames_sent = 0
        self._keep = keep_audio
        self._sequence = 0
        self._resumption: Resumption | None = None
        self._opened_s: float | None = None

    @property
    def position(self) -> int:
        """Samples of the call's clock that have passed."""
        return self.playout.position

    def open(self, now_s: float) -> list[bytes]:
        """connected and start; the call's clock begins at `now_s`."""
        self._opened_s = now_s
        start = {
            "accountSid": self.ids.account_sid,
            "streamSid": self.ids.stream_sid,
            "callSid": self.ids.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": RATE_HZ, "channels": 1},
            "customParameters": self.parameters,
        }
        connected = orjson.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        return [connected, self._message("start", start)]

    def due_s(self) -> float:
        """When `advance` has something to do next."""
        next_at = (self.frames_sent + 1) * FRAME
        mark = self.playout.next_mark
        return self._began() + (next_at if mark is None else min(next_at, mark)) / RATE_HZ

    def advance(self, now_s: float) -> list[bytes]:
        """Everything that was due up to `now_s`, in order."""
        # half a sample of grace: floating point must not miss the frame it was woken for
        target = int((now_s - self._began()) * RATE_HZ + 0.5)
        out: list[bytes] = []
        while (frame_end := (self.frames_sent + 1) * FRAME) <= target:
            out += self._play(frame_end)
            out.append(self._media(self.microphone.frame(frame_end - FRAME)))
        return out + self._play(target)

    def press(self, digit: str) -> list[bytes]:
        """A key of the caller's phone."""
        self._note("dtmf", digit)
        return [self._message("dtmf", {"track": "inbound_track", "digit": digit})]

    def stop(self) -> list[bytes]:
        """The caller hung up."""
        ids = {"accountSid": self.ids.account_sid, "callSid": self.ids.call_sid}
        return [self._message("stop", ids)]

    def receive(self, message: str | bytes, now_s: float) -> list[bytes]:
        """One message of the server."""
        out = self.advance(now_s)
        try:
            tree = orjson.loads(message)
        except orjson.JSONDecodeError:
            self._fault("not JSON")
            return out
        if not isinstance(tree, dict):
            self._fault("not an object")
            return out
        if tree.get("streamSid") != self.ids.stream_sid:
            self._fault("wrong streamSid")
            return out
        return out + self._obey(tree)

    def _obey(self, tree: dict[str, Any]) -> list[bytes]:
        match tree.get("event"):
            case "media":
                self._queue(_inner(tree, "media", "payload"))
            case "mark":
                name = _inner(tree, "mark", "name")
                if name is None:
                    self._fault("mark without a name")
                else:
                    self._note("mark", name)
                    self.playout.mark(name)
                    return self._play(self.position)
            case "clear":
                return self._clear()
            case _:
                self._fault("unknown event")
        return []

    def _clear(self) -> list[bytes]:
        dropped, names = self.playout.clear()
        self._note("clear", amount=len(dropped))
        if self._keep:
            before = self.playout.heard(max(0, self.position - KEPT))
            self._resumption = Resumption(before, dropped)
        return self._acknowledge(names)

    def _queue(self, payload: str | None) -> None:
        try:
            ulaw = base64.b64decode(payload or "", validate=True)
        except (binascii.Error, ValueError):
            self._fault("payload is not base64")
            return
        if not ulaw:
            self._fault("media without audio")
        elif not self.playout.append(ulaw):
            self._fault("play-out buffer is full")
        else:
            self._note("media", amount=len(ulaw))
            self._compare(ulaw)

    def _compare(self, ulaw: bytes) -> None:
        """Note when the bot goes on with what had been cleared."""
        went_on = self._resumption.feed(ulaw) if self._resumption else None
        if went_on is not None:
            self._resumption = None
        if went_on:
            self._note("resumed")

    def _play(self, to: int) -> list[bytes]:
        out: list[bytes] = []
        while (mark := self.playout.next_mark) is not None and mark < to:
            out += self._acknowledge(self.playout.advance(mark))
        return out + self._acknowledge(self.playout.advance(to))

    def _acknowledge(self, names: list[str]) -> list[bytes]:
        for name in names:
            self._note("played", name)
        return [self._message("mark", {"name": name}) for name in names]

    def _media(self, ulaw: bytes) -> bytes:
        self.frames_sent += 1
        media = {
            "track": "inbound",
            "chunk": str(self.frames_sent),
            "timestamp": str((self.frames_sent - 1) * FRAME * 1000 // RATE_HZ),
            "payload": base64.b64encode(ulaw).decode("ascii"),
        }
        return self._message("media", media)

    def _message(self, event: str, content: dict[str, Any]) -> bytes:
        self._sequence += 1
        tree = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            "streamSid": self.ids.stream_sid,
            event: content,
        }
        return orjson.dumps(tree)

    def _note(self, name: str, detail: str = "", amount: int = 0) -> None:
        if self._keep:
            self.happenings.append(Happening(self.position, name, detail, amount))

    def _fault(self, what: str) -> None:
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(what)

    def _began(self) -> float:
        if self._opened_s is None:
            raise ValueError("the stream is not open")
        return self._opened_s


def _inner(tree: dict[str, Any], group: str, name: str) -> str | None:
    """``tree[group][name]`` where it is a text."""
    content = tree.get(group)
    value = content.get(name) if isinstance(content, dict) else None
    return value if isinstance(value, str) else None
