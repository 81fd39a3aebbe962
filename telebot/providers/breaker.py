"""Circuit breakers: a provider that fails is left alone for a while, by all calls of the process.

Closed: used. Open: skipped. Half-open: the time is up, and one request tries it, with another link
ready beside it so that no caller waits for the answer. Pure, on a clock that is handed in.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any

import structlog

from telebot.providers.failure import Cause, Failure

Clock = Callable[[], float]
log = structlog.get_logger()

FAILURES = 2  # in a row open a breaker; some causes do at the first
AT_ONCE = frozenset({
    Cause.REFUSED,
    Cause.RATE_LIMIT,
    Cause.QUOTA,
    Cause.BAD_REQUEST,
    Cause.UNREACHABLE,
    Cause.SLOW_START,  # or every reply would wait for the connection anew
})  # fmt: skip
FIRST_OPEN_S, LONGEST_OPEN_S = 5.0, 300.0  # doubled at every probe that fails
QUOTA_OPEN_S = 60.0
FOR_GOOD = frozenset({Cause.REFUSED, Cause.BAD_REQUEST})  # until the key or the name changes
PROBE_S = 15.0  # a probe that says nothing for this long counts as lost
LATENCIES = 64
MOST_BREAKERS = 2000


class State(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """One provider and model, of one kind. Belongs to the event loop."""

    kind: str
    name: str
    clock: Clock = field(repr=False)
    state: State = State.CLOSED
    cause: Cause | None = None
    causes: Counter[str] = field(default_factory=Counter)
    successes: int = 0
    _row: int = 0  # failures in a row
    _opened: int = 0  # times in a row that it was opened
    _until: float = 0.0
    _probing_since: float | None = None
    _latencies: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    _rates: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))

    def closed(self) -> bool:
        """Ordinary use is fine."""
        return self.state is State.CLOSED

    def may_probe(self) -> bool:
        """The time is up and nobody is trying yet: the caller of this tries it now."""
        now = self.clock()
        if self.state is State.CLOSED or now < self._until:
            return False
        if self._probing_since is not None and now - self._probing_since < PROBE_S:
            return False
        self._probing_since = now
        if self.state is State.OPEN:
            self._change(State.HALF_OPEN)
        return True

    def succeeded(self, latency_s: float | None = None) -> None:
        """It did what it should; `latency_s` is the time to its first output."""
        self.successes += 1
        self._row = self._opened = 0
        self._probing_since = None
        self.cause = None
        if latency_s is not None:
            self._latencies.append(latency_s)
        if self.state is not State.CLOSED:
            self._change(State.CLOSED)

    def failed(self, failure: Failure) -> None:
        """It did not. Opens the breaker where the cause or the number of failures says so."""
        self.cause = failure.cause
        self.causes[failure.cause.value] += 1
        self._row += 1
        self._probing_since = None
        if self.state is State.CLOSED and self._row < FAILURES and failure.cause not in AT_ONCE:
            return
        self._until = self.clock() + self._open_s(failure)
        self._opened += 1
        if self.state is not State.OPEN:
            self._change(State.OPEN)

    def latency_s(self) -> float | None:
        """The median of the last latencies."""
        return self.quantile_s(0.5)

    def worked(self, much: float, within_s: float) -> None:
        """It did so much of its work (seconds heard, characters spoken or written) in that time."""
        if much > 0 and within_s > 0:
            self._rates.append(much / within_s)

    def rate(self) -> float | None:
        """The median of how much it did a second."""
        return median(self._rates) if self._rates else None

    def quantile_s(self, part: float) -> float | None:
        """The latency within which this part of the last ones lay."""
        ordered = sorted(self._latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else None

    def told(self) -> dict[str, Any]:
        """For `/health/ready`: state, cause, when it is tried again, latency in ms."""
        latency, left_s = self.latency_s(), self._until - self.clock()
        slow = self.quantile_s(0.95)
        waits = self.state is State.OPEN and left_s > 0
        return {
            "state": self.state.value,
            "cause": self.cause.value if self.cause else None,
            "retry_in_s": round(left_s, 1) if waits and left_s != float("inf") else None,
            "latency_ms": None if latency is None else round(latency * 1000, 1),
            "latency_p95_ms": None if slow is None else round(slow * 1000, 1),
            "throughput": None if (rate := self.rate()) is None else round(rate, 2),
            "failures": dict(self.causes),
            "successes": self.successes,
        }

    def _open_s(self, failure: Failure) -> float:
        if failure.cause in FOR_GOOD:
            return float("inf")
        if failure.cause is Cause.RATE_LIMIT and failure.retry_after_s is not None:
            return failure.retry_after_s
        least = QUOTA_OPEN_S if failure.cause is Cause.QUOTA else FIRST_OPEN_S
        doubled = min(LONGEST_OPEN_S, least * 2.0 ** min(self._opened, 10))
        return max(doubled, failure.retry_after_s or 0.0)

    def _change(self, state: State) -> None:
        self.state = state
        cause = self.cause.value if self.cause else None
        log.info("provider", kind=self.kind, provider=self.name, state=state.value, cause=cause)


class Breakers:
    """The breakers of the process, made when a provider is first used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._breakers: dict[tuple[str, str, int], Breaker] = {}

    def of(self, kind: str, name: str, account: str = "") -> Breaker:
        """`name` is the provider and its model: ``deepgram/nova-3``. `account` is the key in use,
        of which nothing is kept but a hash: another key is another breaker, so one that was
        refused counts until it changes."""
        key = (kind, name, hash(account))
        if key not in self._breakers:
            self._forget_unused()
            self._breakers[key] = Breaker(kind, name, self._clock)
        return self._breakers[key]

    def _forget_unused(self) -> None:
        """Names that somebody asked for and that were never used are not kept for ever."""
        if len(self._breakers) < MOST_BREAKERS:
            return
        used = {k: each for k, each in self._breakers.items() if each.successes or each.causes}
        self._breakers = dict(list(used.items())[-MOST_BREAKERS // 2 :])

    def __iter__(self) -> Iterator[Breaker]:
        return iter(list(self._breakers.values()))

    def check(self) -> tuple[bool, Mapping[str, Any]]:
        """For `/health/ready`. A provider that is out is no fault of this process: its calls go on
        with the next one."""
        return True, {f"{each.kind} {each.name}": each.told() for each in self}
