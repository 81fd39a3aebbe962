"""A sender, a network and an `RtpIn` behind it, on a clock that only arrivals move."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from telebot.sip.rtp_in import RtpIn

BEAT_S = 0.01


@dataclass
class Line:
    """Collects what comes out of the inbound side; `now` is the time of the last event."""

    longest_wait_s: float = 0.2
    now: float = 1000.0
    pieces: list[tuple[bytes, int, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.inbound = RtpIn(self._came, self.longest_wait_s)
        self._tick_at = self.now
        self._watches = 0

    def _came(self, ulaw: bytes, at_ms: int) -> None:
        self.pieces.append((ulaw, at_ms, self.now))

    @property
    def heard(self) -> bytes:
        return b"".join(ulaw for ulaw, _, _ in self.pieces)

    def until(self, now: float) -> None:
        """Beats up to `now`, as the process' beat would."""
        while self._tick_at < now:
            self._tick_at += BEAT_S
            self.now = self._tick_at
            self.inbound.tick(self.now)
            self._watches += 1
            if self._watches % 10 == 0:
                self.inbound.forget()
        self.now = now

    def packet(self, seq: int, ts: int, ulaw: bytes, at: float | None = None) -> None:
        if at is not None:
            self.until(at)
        self.inbound.packet(seq & 0xFFFF, ts & 0xFFFFFFFF, ulaw, self.now)


@dataclass(frozen=True)
class Sent:
    """One packet on its way."""

    number: int
    ulaw: bytes
    sent_at: float


def speech(seed: int, samples: int) -> bytes:
    return random.Random(seed).randbytes(samples)


def packets(audio: bytes, ptime_ms: int = 20, begin: float = 1000.0, rate: float = 1.0):
    """`audio` in packets, sent as a clock that runs `rate` times as fast as ours has it."""
    size = 8 * ptime_ms
    for n in range(0, len(audio), size):
        yield Sent(n // size, audio[n : n + size], begin + n / 8000 / rate)


def through(
    line: Line,
    sent: Iterator[Sent],
    delay_s: Callable[[Sent], float | None],
    *,
    first_seq: int = 100,
    first_ts: int = 5000,
    copies: Callable[[Sent], int] = lambda _: 1,
) -> None:
    """Send all; `delay_s` says how long each takes, None where it is lost."""
    arrivals: list[tuple[float, int, int, Sent]] = []
    samples = 0
    order = 0
    for one in sent:
        delay = delay_s(one)
        for copy in range(copies(one) if delay is not None else 0):
            order += 1
            heapq.heappush(arrivals, (one.sent_at + delay + 0.003 * copy, order, samples, one))
        samples += len(one.ulaw)
    last = line.now
    while arrivals:
        last, _, at, one = heapq.heappop(arrivals)
        line.packet(first_seq + one.number, first_ts + at, one.ulaw, last)
    line.until(last + 1)
