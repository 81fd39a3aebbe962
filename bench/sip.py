"""Calls over SIP against calls over a media socket, in one run on one core each.

The same server, callers and sentences; what differs is the wire. Shown: what a call costs both
ways, how many calls each way carries (`run.py`'s conditions; a telephone holds back 60 ms),
INVITE → 200 of an idle and of a busy server, and how evenly RTP is sent. Targets: 60 % of the media
socket's calls, 100 ms (p95), 10 ms (p99) at 100 calls. About 8 minutes.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from functools import partial
from typing import Any

from bench import report, voices
from bench.machine import describe
from bench.processes import cores, priority
from bench.run import Ladder, carried, climb, usable
from bench.servers import VARIANTS
from bench.steps import Cores, measure

LADDERS = (
    Ladder("telebot-vad", (100, 200, 300, 400), refine=2),
    Ladder("telebot-sip", (100, 200, 300, 400), refine=2),
)
DIALS = 40
COLUMNS = ("calls over SIP", "INVITE→200 idle ms p50/p95", "busy", "RTP send jitter ms p50/p99/max")


def row(step: dict[str, Any]) -> tuple[str, ...]:
    """What SIP alone has, of one step."""
    jitter = step["send_jitter_ms"]
    shown = "/".join(f"{jitter[p]:.1f}" for p in ("p50", "p99", "max")) if jitter["n"] else "–"
    dials = (report.pair(step["dial_idle_ms"]), report.pair(step["dial_busy_ms"]))
    return (str(step["calls"]), *dials, shown)


def step(name: str, seconds: float, on: Cores, calls: int) -> dict[str, Any]:
    """One step of one variant."""
    variant = VARIANTS[name]
    more = ("--dials", str(DIALS)) if variant.over == "sip" else ()
    found = measure(variant, calls, seconds, on, more=more)
    cells = (f"{c}: {v}" for c, v in zip(report.COLUMNS[2:], report.row(found)[2:], strict=True))
    print(f"  {name}, {calls} calls: {', '.join(cells)}", flush=True)
    if variant.over == "sip":
        print(f"    {', '.join(f'{c}: {v}' for c, v in zip(COLUMNS, row(found), strict=True))}")
    return found


def verdict(ladders: dict[str, list[dict[str, Any]]]) -> str:
    """The two ways in one table."""
    rows = []
    for name, steps in ladders.items():
        first = steps[0]
        cost = first["server"]["cpu_s_per_call_minute"]
        rows.append(
            (name, f"{cost:.3f} ({first['calls']})", str(carried(steps)), str(usable(steps)))
        )
    columns = ("variant", "CPU-s per call-min (calls)", "calls on one core", "usable")
    return report.table(rows, columns)


def markdown(result: dict[str, Any]) -> str:
    """The whole result for people."""
    ladders = result["ladders"]
    steps = [one for each in ladders.values() for one in each]
    return "\n\n".join(
        (
            f"{report.machine_lines(result['machine'])}, priority: {result['machine']['priority']}",
            report.table([report.row(one) for one in steps]),
            report.table([row(one) for one in ladders.get("telebot-sip", [])], COLUMNS),
            verdict(ladders),
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench sip")
    parser.add_argument("--calls", type=int, action="append", help="instead of the ladders' counts")
    parser.add_argument("--seconds", type=float, default=30.0, help="measured time of each step")
    parser.add_argument("--no-keep", action="store_true", help="print, write no file")
    args = parser.parse_args(argv)
    on, machine = Cores(*cores()), {**describe(), "priority": priority()}
    os.sched_setaffinity(0, on.load)
    voices.lines()
    ladders = {}
    for ladder in LADDERS:
        counts = Ladder(ladder.variant, tuple(args.calls or ladder.calls), ladder.refine)
        ladders[ladder.variant] = climb(counts, partial(step, ladder.variant, args.seconds, on))
    result = {"machine": machine, "seconds": args.seconds, "ladders": ladders}
    text = markdown(result)
    print(f"\n{text}")
    if not args.no_keep:
        print(f"\nkept: {report.keep(result, text, 'sip').name}")
    return 0
