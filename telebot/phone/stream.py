"""The carrier's side of a media stream, without I/O and with the clock as a parameter.

`open` begins the stream, `advance(now_s)` sends the caller's frames and plays the bot's audio up
to now, `receive` takes a message of the server; each answers with the messages to send: `str` is a
text message, `bytes` a binary one. What they look like is a subclass's, one of each carrier
(`twilio_stream.py`). What the server does against the protocol is counted in `faults`, never
raised. The asyncio shell is `line.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from telebot.audio.g711 import RATE_HZ
from telebot.phone.microphone import FRAME, Microphone
from telebot.phone.playout import PlayOut
from telebot.phone.resumption import KEPT, Resumption

MAX_FAULTS = 100  # kept; more are only counted
Message = str | bytes


@dataclass(frozen=True, slots=True)
class Happening:
    """What the server asked for, by the call's clock: ``media`` (`amount` samples), ``mark``,
    ``clear`` (`amount` samples dropped); ``resumed``: it went on with what it had cleared;
    ``played`` is a mark acknowledged, ``dtmf`` a key sent or one that the server sent."""

    position: int
    name: str
    detail: str = ""
    amount: int = 0


class CarrierStream(ABC):
    """One media stream from the carrier's end. Times are monotonic seconds."""

    def __init__(self, microphone: Microphone, *, keep_audio: bool = True) -> None:
        self.microphone = microphone
        self.playout = PlayOut(keep_audio=keep_audio)
        self.happenings: list[Happening] = []
        self.faults: list[str] = []
        self.fault_count = 0
        self.frames_sent = 0
        self.hung_up = False  # the server has ended the call by a message of its own
        self._keep = keep_audio
        self._resumption: Resumption | None = None
        self._opened_s: float | None = None

    # what a carrier's wire is

    @abstractmethod
    def opening(self) -> Sequence[Message]:
        """What the carrier says when the stream begins."""

    @abstractmethod
    def media(self, ulaw: bytes) -> Message:
        """The caller's next frame (20 ms of mu-law); `frames_sent` counts the ones before it."""

    @abstractmethod
    def obey(self, message: Message) -> Sequence[Message]:
        """A message of the server, by `play`, `mark`, `clear` and `fault`; what is answered."""

    def keys(self, digit: str) -> Sequence[Message]:
        """A key of the caller's phone. Nothing where the wire carries none."""
        return ()

    def ending(self) -> Sequence[Message]:
        """The caller hangs up. Nothing where closing says it all."""
        return ()

    def marks(self, names: Sequence[str]) -> Sequence[Message]:
        """What is said of marks that were reached (or cleared)."""
        return ()

    # what all of them do

    @property
    def position(self) -> int:
        """Samples of the call's clock that have passed."""
        return self.playout.position

    def open(self, now_s: float) -> list[Message]:
        """The stream begins; the call's clock does so at `now_s`."""
        self._opened_s = now_s
        return [*self.opening()]

    def due_s(self) -> float:
        """When `advance` has something to do next."""
        next_at = (self.frames_sent + 1) * FRAME
        mark = self.playout.next_mark
        return self._began() + (next_at if mark is None else min(next_at, mark)) / RATE_HZ

    def advance(self, now_s: float) -> list[Message]:
        """Everything that was due up to `now_s`, in order."""
        # half a sample of grace: floating point must not miss the frame it was woken for
        target = int((now_s - self._began()) * RATE_HZ + 0.5)
        out: list[Message] = []
        while (frame_end := (self.frames_sent + 1) * FRAME) <= target:
            out += self._play(frame_end)
            out.append(self.media(self.microphone.frame(frame_end - FRAME)))
            self.frames_sent += 1
        return out + self._play(target)

    def press(self, digit: str) -> list[Message]:
        """A key of the caller's phone."""
        self.note("dtmf", digit)
        return [*self.keys(digit)]

    def stop(self) -> list[Message]:
        """The caller hung up."""
        return [*self.ending()]

    def receive(self, message: Message, now_s: float) -> list[Message]:
        """One message of the server."""
        return [*self.advance(now_s), *self.obey(message)]

    def play(self, ulaw: bytes) -> None:
        """The server's audio, behind what it sent before."""
        if not ulaw:
            self.fault("media without audio")
        elif not self.playout.append(ulaw):
            self.fault("play-out buffer is full")
        else:
            self.note("media", amount=len(ulaw))
            self._compare(ulaw)

    def mark(self, name: str) -> list[Message]:
        """The server wants to know when all it has sent was played."""
        self.note("mark", name)
        self.playout.mark(name)
        return self._play(self.position)

    def clear(self) -> list[Message]:
        """The server takes back what was not played."""
        dropped, names = self.playout.clear()
        self.note("clear", amount=len(dropped))
        if self._keep:
            before = self.playout.heard(max(0, self.position - KEPT))
            self._resumption = Resumption(before, dropped)
        return self._acknowledge(names)

    def note(self, name: str, detail: str = "", amount: int = 0) -> None:
        """Something happened now."""
        if self._keep:
            self.happenings.append(Happening(self.position, name, detail, amount))

    def fault(self, what: str) -> None:
        """The server has broken the protocol."""
        self.fault_count += 1
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(what)

    def _compare(self, ulaw: bytes) -> None:
        """Note when the bot goes on with what had been cleared."""
        went_on = self._resumption.feed(ulaw) if self._resumption else None
        if went_on is not None:
            self._resumption = None
        if went_on:
            self.note("resumed")

    def _play(self, to: int) -> list[Message]:
        out: list[Message] = []
        while (mark := self.playout.next_mark) is not None and mark < to:
            out += self._acknowledge(self.playout.advance(mark))
        return out + self._acknowledge(self.playout.advance(to))

    def _acknowledge(self, names: list[str]) -> list[Message]:
        for name in names:
            self.note("played", name)
        return [*self.marks(names)]

    def _began(self) -> float:
        if self._opened_s is None:
            raise ValueError("the stream is not open")
        return self._opened_s
