"""One step of a benchmark: a variant under N calls, and whether it carried them.

Starts the server fresh, warms it with one call, measures what it costs idle and under load.
Used by `run.py`, `ramp.py` and `floor.py`'s row; the calls are `phone_load.py`'s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.processes import cpu_s, rss_mb, run_load
from bench.servers import Variant, load_arguments, running

RESPONSE_P95_MS = 50.0
GAP_SHARE = 0.01
SMALL_PIECE_MS = 45.0
LOAD_LAG_P99_MS = 10.0
LOAD_CPU_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server and the load are pinned to."""

    server: set[int]
    load: set[int]


class Watch:
    """The server's CPU between `steady` and `done`, and its memory at `done`."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began: dict[int, float] = {}
        self._began_s = 0.0
        self.used_s = 0.0
        self.wall_s = 0.0
        self.by_process: list[float] = []
        self.rss_mb = 0.0

    def __call__(self, event: str) -> None:
        if event == "steady":
            self._began, self._began_s = cpu_s(self._pid), time.monotonic()
        elif event == "done":
            used = {p: s - self._began.get(p, 0.0) for p, s in cpu_s(self._pid).items()}
            self.wall_s = time.monotonic() - self._began_s
            self.used_s = sum(used.values())
            self.by_process = sorted((round(s, 2) for s in used.values()), reverse=True)
            self.rss_mb = rss_mb(self._pid)


def measure(
    variant: Variant,
    calls: int,
    seconds: float,
    cores: Cores,
    ramp_s: float | None = None,
    *,
    more: Sequence[str] = (),
) -> dict[str, Any]:
    """Run one step; the load's result with the server's cost and the verdict in it. `more` are
    arguments of the load."""
    ramp_s = max(3.0, calls / 20) if ramp_s is None else ramp_s
    with running(variant, cores.server) as server:
        where = load_arguments(variant, server)
        module = "sip-load" if variant.over == "sip" else "load"
        echo = ["--echo"] if variant.kind == "floor" else []
        warm = ["--calls", "1", "--ramp", "0", "--settle", "1", "--seconds", "2"]
        run_load([*where, *warm, *echo], cores.load, lambda event: None, module)
        idle_mb = rss_mb(server.pid)
        watch = Watch(server.pid)
        load = ["--calls", str(calls), "--ramp", str(ramp_s), "--seconds", str(seconds)]
        result = run_load([*where, *load, *echo, *more], cores.load, watch, module)
    result["variant"] = variant.name
    result["response_ms"] = less_waits(result["response_raw_ms"], variant.waits_ms)
    result["server"] = {
        "cpu_s_per_call_minute": round(watch.used_s / (calls * watch.wall_s / 60), 4),
        "core_share": round(watch.used_s / watch.wall_s, 3),
        "cpu_s_by_process": watch.by_process,
        "idle_mb": round(idle_mb, 1),
        "rss_mb": round(watch.rss_mb, 1),
        "mb_per_call": round((watch.rss_mb - idle_mb) / calls, 3),
    }
    result["missed"] = missed(result)
    return result


def less_waits(raw: dict[str, float], waits_ms: float) -> dict[str, float]:
    """The response with the configured waits taken off."""
    return {k: v if k == "n" else round(v - waits_ms, 1) for k, v in raw.items()}


def missed(step: dict[str, Any]) -> list[str]:
    """The conditions of "carries these calls" that a step does not meet; empty when all are met."""
    faults = broken(step)
    if step["response_ms"].get("p95", 0.0) > RESPONSE_P95_MS:
        faults.append(f"response p95 {step['response_ms']['p95']} ms")
    if step["starvation_ms"]["n"]:
        faults.append(f"{step['starvation_ms']['n']} starvations")
    load = step["load"]
    if load["lag_ms"].get("p99", 0.0) > LOAD_LAG_P99_MS or load["cpu_share"] > LOAD_CPU_SHARE:
        faults.append("the load was the limit")
    return faults


def gaps(step: dict[str, Any]) -> float:
    """The share of gaps that count: over 60 ms where pieces are small, else into thin play-out."""
    small = step["mean_piece_ms"] <= SMALL_PIECE_MS
    return float(step["gaps_over_60_ms"] if small else step["thin"])


def broken(step: dict[str, Any]) -> list[str]:
    """What nobody would call usable any more: calls lost, callers unanswered, stutter."""
    faults = []
    if step["calls_up_at_end"] < step["calls"]:
        faults.append(f"{step['calls'] - step['calls_up_at_end']} calls lost")
    unanswered = step["counts"].get("unanswered", 0)
    if unanswered > 0.01 * max(1, step["counts"].get("utterances", 0)):
        faults.append(f"{unanswered} unanswered")
    if (share := gaps(step)) > GAP_SHARE:
        faults.append(f"gaps {share:.1%}")
    return faults
