"""A carrier's side of a media stream: play-out buffer, marks, clear, what the caller hears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from telebot.audio.g711 import RATE_HZ
from telebot.audio.line import PHONE, Line

SILENT = 0xFF


@dataclass
class Carrier:
    """Plays what it is sent at 8000 bytes a second of the running loop's clock.

    `marks` False: one that knows no marks. `stalled`: a carrier that stops confirming."""

    marks: bool = True
    latency_s: float = 0.0
    lead_ms: int | None = None
    piece_ms: int | None = None
    echoes_marks: bool = True
    held: bool = False
    line: Line = PHONE
    acknowledged: Callable[[str], object] | None = None
    on_close: Callable[[], object] | None = None
    began: float = 0.0
    end: float = 0.0  # when the buffer is empty
    played: list[tuple[float, bytes]] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)  # how long the buffer was dry between pieces
    pieces: list[int] = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    closed: bool = False
    stalled: bool = False
    _pending: dict[str, asyncio.TimerHandle] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.began = self.end = self.loop.time()

    # the wire

    @property
    def tick(self) -> int:
        return self.line.says.bytes_a_tick

    def send_audio(self, audio: bytes) -> None:
        now = self.loop.time()
        if self.played:
            self.gaps.append(max(0.0, now - self.end))
        start = max(self.end, now)
        self.played.append((start, audio))
        self.pieces.append(len(audio) // self.tick)
        self.end = start + len(audio) // self.tick / RATE_HZ

    def send_mark(self, name: str) -> None:
        self.names.append(name)
        if self.marks:
            due = max(self.end, self.loop.time()) + self.latency_s
            self._pending[name] = self.loop.call_at(due, self._acknowledge, name)

    def send_clear(self) -> None:
        now = self.loop.time()
        self.clears.append(now)
        kept = []
        for start, ulaw in self.played:
            samples = round((now - start) * RATE_HZ)
            if samples > 0:
                kept.append((start, ulaw[: samples * self.tick]))
        self.played = kept
        self.end = min(self.end, now)
        for name, timer in list(self._pending.items()):
            timer.cancel()
            self._pending[name] = self.loop.call_later(self.latency_s, self._acknowledge, name)

    async def close(self) -> None:
        self.closed = True
        if self.on_close is not None:
            self.on_close()

    # what came of it

    def _acknowledge(self, name: str) -> None:
        self._pending.pop(name, None)
        if self.acknowledged is not None and not self.stalled:
            self.acknowledged(name)

    @property
    def lead_s(self) -> float:
        """How much audio lies in the buffer."""
        return max(0.0, self.end - self.loop.time())

    def heard(self) -> bytes:
        """What the caller heard until now, without the silences."""
        now, out = self.loop.time(), bytearray()
        for start, audio in self.played:
            out += audio[: max(0, round((now - start) * RATE_HZ)) * self.tick]
        return bytes(out)

    def timeline(self) -> bytes:
        """What the caller heard until now, sample by sample since the stream began."""
        now = self.loop.time()
        track = bytearray([SILENT]) * round((now - self.began) * RATE_HZ)
        for start, ulaw in self.played:
            at = round((start - self.began) * RATE_HZ)
            part = ulaw[: max(0, len(track) - at)]
            track[at : at + len(part)] = part
        return bytes(track)

    def silent_since(self, moment: float) -> bool:
        """True where the caller hears nothing after `moment`."""
        return all(start + len(ulaw) / RATE_HZ <= moment + 1e-6 for start, ulaw in self.played)

    def stream_time(self, now: float) -> int:
        return round((now - self.began) * RATE_HZ)


@dataclass
class Tape:
    """A recording that keeps what it is given, and where."""

    caller_parts: list[tuple[int, bytes]] = field(default_factory=list)
    bot_parts: list[tuple[int, bytes]] = field(default_factory=list)
    closed: int = 0

    def caller(self, ulaw: bytes, at_sample: int) -> None:
        self.caller_parts.append((at_sample, ulaw))

    def bot(self, ulaw: bytes, at_sample: int) -> None:
        self.bot_parts.append((at_sample, ulaw))

    def close(self) -> None:
        self.closed += 1

    def bot_timeline(self, samples: int) -> bytes:
        return _laid(self.bot_parts, samples)

    def caller_timeline(self, samples: int) -> bytes:
        return _laid(self.caller_parts, samples)


def _laid(parts: list[tuple[int, bytes]], samples: int) -> bytes:
    track = bytearray([SILENT]) * samples
    for at, ulaw in parts:
        part = ulaw[: max(0, samples - at)]
        track[at : at + len(part)] = part
    return bytes(track)


def different(one: bytes, other: bytes) -> int:
    """How many samples differ."""
    assert len(one) == len(other)
    return sum(a != b for a, b in zip(one, other, strict=True))
