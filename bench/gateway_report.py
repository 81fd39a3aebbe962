"""The gateways' figures as tables, and the verdict over them; filled by `gateway.py`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from bench import report
from bench.gateway_load import PROGRESS

FAST = (
    "request",
    "gateway",
    "requests/s",
    "core %",
    "CPU ms a request",
    "requests per CPU-s",
    "p50/p95/p99 ms",
    "load, upstream: CPU %",
    "failed",
)
SLOW = (
    "request",
    "gateway",
    "rate/s",
    "p50/p95/p99 ms",
    "added p50/p95/p99 ms",
    "first sound passed on after p50/p95/p99 ms",
    "failed",
)
GROWTH = ("gateway", "requests", "MB at first", "half", "end", "growth, MB per 1,000 requests")
TARGETS = "asked for: three times the requests, a third of the added p95, 3 ms to the first sound"
WORDS = {
    "clip": "5 s clip to text",
    "speech-mp3": "200 characters, MP3",
    "speech-pcm": "200 characters, PCM",
}
POINTS = ("p50", "p95", "p99")


def slope(values: Sequence[float]) -> dict[str, float]:
    """The growth of memory measured every `PROGRESS` requests: MB per 1,000 requests by least
    squares, and its standard error."""
    count = len(values)
    if count < 3:
        return {"per_1000": 0.0, "error": math.inf}
    middle, mean = (count - 1) / 2, sum(values) / count
    spread = sum((at - middle) ** 2 for at in range(count))
    steep = sum((at - middle) * (value - mean) for at, value in enumerate(values)) / spread
    rest = sum((v - mean - steep * (at - middle)) ** 2 for at, v in enumerate(values))
    error = math.sqrt(rest / (count - 2) / spread)
    per = 1000 / PROGRESS
    return {"per_1000": round(steep * per, 3), "error": round(error * per, 3)}


def merged(steps: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row for the rounds of a step: the middle of each figure (of two, their mean)."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for step in steps:
        groups.setdefault((step["what"], step["name"], step["rate"]), []).append(step)
    return [_middle(group) for group in groups.values()]


def _middle(group: Sequence[dict[str, Any]]) -> dict[str, Any]:
    made = dict(group[0])
    for name in ("per_s", "core_share", "cpu_ms_per_request", "per_core_s", "upstream_share"):
        made[name] = _median([step[name] for step in group if step[name] is not None])
    for name in ("whole_ms", "first_ms", "passed_ms"):
        made[name] = {
            point: _median([step[name][point] for step in group])
            for point in POINTS
            if all(point in step[name] for step in group)
        }
    made["load"] = {"cpu_share": max(step["load"]["cpu_share"] for step in group)}
    made["failed"] = sum(sum(step["failures"].values()) for step in group)
    return made


def _median(values: Sequence[float]) -> float:
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _points(values: dict[str, float], digits: int = 1) -> str:
    return "/".join(f"{values[point]:.{digits}f}" for point in POINTS) if values else "–"


def added(step: dict[str, Any], direct: dict[str, Any]) -> dict[str, float]:
    """How much longer than from the upstream itself, percentile by percentile."""
    return {point: step["whole_ms"][point] - direct["whole_ms"][point] for point in POINTS}


def fast_rows(steps: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            WORDS[step["what"]],
            step["name"],
            f"{step['per_s']:.0f}",
            f"{step['core_share']:.0%}",
            f"{step['cpu_ms_per_request']:.2f}",
            f"{step['per_core_s']:.0f}",
            _points(step["whole_ms"]),
            f"{step['load']['cpu_share']:.0%}, {step['upstream_share']:.0%}",
            str(step["failed"]),
        )
        for step in steps
    ]


def slow_rows(steps: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for step in steps:
        direct = _direct(steps, step)
        rows.append(
            (
                WORDS[step["what"]],
                step["name"],
                f"{step['rate']:.0f}",
                _points(step["whole_ms"]),
                _points(added(step, direct), 2) if direct and direct is not step else "–",
                _points(step["passed_ms"], 2),
                str(step["failed"]),
            )
        )
    return rows


def _direct(steps: Sequence[dict[str, Any]], beside: dict[str, Any]) -> dict[str, Any] | None:
    alike = (beside["what"], beside["rate"])
    same = (s for s in steps if s["name"] == "direct" and (s["what"], s["rate"]) == alike)
    return next(same, None)


def growth_rows(steps: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    rows = []
    for step in steps:
        mb, grown = step["memory_mb"], step["growth"]
        rows.append(
            (
                step["name"],
                str(step["requests"]),
                f"{mb[0]:.0f}",
                f"{mb[len(mb) // 2]:.0f}",
                f"{mb[-1]:.0f}",
                f"{grown['per_1000']:+.3f} ± {grown['error']:.3f}",
            )
        )
    return rows


def ratios(fast: Sequence[dict[str, Any]], slow: Sequence[dict[str, Any]]) -> list[str]:
    """telebot against LiteLLM, a line for each kind of request."""
    found = []
    for what, words in WORDS.items():
        of = {s["name"]: s for s in fast if s["what"] == what}
        if not {"telebot", "litellm"} <= set(of):
            continue
        line = f"{words}: {of['telebot']['per_s'] / of['litellm']['per_s']:.1f} times the requests"
        line += (
            f"; the load reaches {of['null']['per_s'] / of['telebot']['per_s']:.1f} times telebot's"
        )
        theirs = next((s for s in slow if (s["what"], s["name"]) == (what, "litellm")), None)
        if theirs is not None and (direct := _direct(slow, theirs)) is not None:
            rate = theirs["rate"]
            ours = next(
                s for s in slow if (s["what"], s["name"], s["rate"]) == (what, "telebot", rate)
            )
            mine, other = added(ours, direct)["p95"], added(theirs, direct)["p95"]
            line += f"; added p95 {mine:.2f} ms against {other:.2f} ms ({mine / other:.2f} of it)"
            if ours["passed_ms"]:
                line += f"; first sound passed on after {ours['passed_ms']['p95']:.2f} ms (p95)"
        found.append(line)
    return found


def markdown(result: dict[str, Any]) -> str:
    """The whole result for people."""
    fast, slow = merged(result["throughput"]), merged(result.get("latency", ()))
    idle = ", ".join(f"{name} {share:.1%}" for name, share in result["idle_share"].items())
    parts = [
        f"{report.machine_lines(result['machine'])}, litellm {result['litellm']}  ",
        f"Both up on one core, loaded in turn; priority: {result['priority']}; idle: {idle}.",
        report.table(fast_rows(fast), FAST),
    ]
    if slow:
        parts.append(report.table(slow_rows(slow), SLOW))
    if "memory" in result:
        parts.append(report.table(growth_rows(result["memory"]), GROWTH))
    verdict = [f"- {line}" for line in ratios(fast, slow)]
    if verdict:
        parts.append("\n".join([*verdict, f"- {TARGETS}"]))
    return "\n\n".join(parts)
