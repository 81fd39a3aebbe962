"""Percentiles and the samples of a run; `meter.py` fills them, `phone_load.py` prints them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

GAP_S = 0.06
THIN_S = 0.02
HISTOGRAM_MS = 2000  # intervals above this share the last bin


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that `share` (0..1) of all do not exceed.

    Raises ValueError for no values or a share outside 0..1.
    """
    if not values:
        raise ValueError("no values")
    if not 0 <= share <= 1:
        raise ValueError(f"share is 0..1, got {share}")
    ordered = sorted(values)
    rank = -(-len(ordered) * share // 1)  # ceiling
    return ordered[max(0, int(rank) - 1)]


def midmean(values: Sequence[float]) -> float:
    """The mean of the middle half: finer than the steps in which the values come, and blind to the
    odd one. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    spare = len(ordered) // 4
    middle = ordered[spare : len(ordered) - spare]
    return sum(middle) / len(middle)


def summary(values: Sequence[float], digits: int = 1) -> dict[str, float | int]:
    """`n`, `p50`, `p95`, `p99`, `max` of the values; only `n` when there are none."""
    if not values:
        return {"n": 0}
    points = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {
        "n": len(values),
        **{name: round(percentile(values, share), digits) for name, share in points.items()},
    }


@dataclass
class Samples:
    """What all calls of a run measured. Times in ms; nothing is kept unless `measuring`.

    `interval_ms` is a histogram (bin = whole ms) of the time between successive media messages of
    one reply; `thin` counts those over `GAP_S` that ended with less than `THIN_S` left to play.
    """

    measuring: bool = False
    greeting_ms: list[float] = field(default_factory=list)
    webhook_ms: list[float] = field(default_factory=list)
    response_ms: list[float] = field(default_factory=list)
    onset_clear_ms: list[float] = field(default_factory=list)
    onset_silent_ms: list[float] = field(default_factory=list)
    starvation_ms: list[float] = field(default_factory=list)
    ahead_ms: list[float] = field(default_factory=list)
    echo_ms: list[float] = field(default_factory=list)
    interval_ms: list[int] = field(default_factory=lambda: [0] * (HISTOGRAM_MS + 1))
    pieces: int = 0
    audio_ms: float = 0.0
    counts: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)

    def count(self, name: str, by: int = 1) -> None:
        if self.measuring:
            self.counts[name] += by

    def keep(self, values: list[float], value_s: float) -> None:
        """Keep a duration given in seconds, as ms, while measuring."""
        if self.measuring:
            values.append(value_s * 1000)

    def interval(self, seconds: float, left_s: float) -> None:
        """Time between two media messages of a reply; `left_s` was still to be played."""
        if not self.measuring:
            return
        self.interval_ms[min(HISTOGRAM_MS, int(seconds * 1000))] += 1
        if seconds > GAP_S and left_s < THIN_S:
            self.counts["thin"] += 1

    def piece(self, seconds: float) -> None:
        """One media message with so much audio."""
        if self.measuring:
            self.pieces += 1
            self.audio_ms += seconds * 1000

    def intervals(self) -> int:
        return sum(self.interval_ms)

    def gap_share(self, over_ms: int = 60) -> float:
        """The share of intervals inside replies longer than `over_ms`."""
        return sum(self.interval_ms[over_ms:]) / max(1, self.intervals())

    def thin_share(self) -> float:
        """The share of intervals that were long and ended at the last moment or too late."""
        return self.counts["thin"] / max(1, self.intervals())

    def report(self) -> dict[str, Any]:
        return {
            "greeting_ms": summary(self.greeting_ms),
            "webhook_ms": summary(self.webhook_ms),
            "response_raw_ms": summary(self.response_ms),
            "onset_clear_ms": summary(self.onset_clear_ms),
            "onset_silent_ms": summary(self.onset_silent_ms),
            "starvation_ms": summary(self.starvation_ms),
            "echo_ms": summary(self.echo_ms, 2),
            "intervals": self.intervals(),
            "gaps_over_60_ms": round(self.gap_share(), 5),
            "thin": round(self.thin_share(), 5),
            "mean_piece_ms": round(self.audio_ms / max(1, self.pieces), 1),
            "counts": dict(self.counts),
            "failures": dict(self.failures),
        }
