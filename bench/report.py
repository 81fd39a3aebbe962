"""Results as a table for people and a file to keep; filled by `run.py`."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.machine import slug

RESULTS = Path(__file__).with_name("results")
COLUMNS = (
    "variant",
    "calls",
    "CPU-s per call-min",
    "core %",
    "response p50/p95 ms",
    "onset→clear p50/p95",
    "onset→silent p50/p95",
    "piece ms",
    "gaps > 60 ms",
    "thin",
    "starved",
    "greeting p50/p95",
    "MB a call",
    "load: CPU %, lag p99 ms",
    "missed",
)


def pair(values: dict[str, Any]) -> str:
    """`p50/p95` of a summary, or a dash."""
    return f"{values['p50']:.0f}/{values['p95']:.0f}" if values["n"] else "–"


def row(step: dict[str, Any]) -> tuple[str, ...]:
    """One step as the cells of `COLUMNS`."""
    server, load = step["server"], step["load"]
    starved = step["starvation_ms"]
    lag = load["lag_ms"].get("p99", 0.0)
    return (
        step["variant"],
        str(step["calls"]),
        f"{server['cpu_s_per_call_minute']:.3f}",
        f"{server['core_share']:.0%}",
        pair(step["response_ms"]),
        pair(step["onset_clear_ms"]),
        pair(step["onset_silent_ms"]),
        f"{step['mean_piece_ms']:.0f}",
        f"{step['gaps_over_60_ms']:.2%}",
        f"{step['thin']:.2%}",
        f"{starved['n']} (max {starved['max']:.0f} ms)" if starved["n"] else "0",
        pair(step["greeting_ms"]),
        f"{server['mb_per_call']:.2f}",
        f"{load['cpu_share']:.0%}, {lag:.1f}",
        "; ".join(step["missed"]) or "–",
    )


def table(rows: Sequence[Sequence[str]], columns: Sequence[str] = COLUMNS) -> str:
    """A Markdown table."""
    rule = ["---"] * len(columns)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, rule, *rows))


def machine_lines(machine: dict[str, Any]) -> str:
    """The machine in two lines of Markdown."""
    versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory']}, "
        f"kernel {machine['kernel']}, Python {machine['python']}, "
        f"load average before: {machine['load_average_before']}  \n{versions}"
    )


def keep(result: dict[str, Any], markdown: str, name: str = "") -> Path:
    """Write `results/<date>-<machine>[-name].json` and `.md`; the JSON's path."""
    RESULTS.mkdir(exist_ok=True)
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    stem = "-".join(x for x in (today, slug(result["machine"]), name) if x)
    path = RESULTS / f"{stem}.json"
    path.write_text(json.dumps(result, indent=1) + "\n")
    path.with_suffix(".md").write_text(markdown + "\n")
    return path
