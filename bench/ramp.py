"""Calls that arrive all at once: 100 in ten seconds, and how soon each hears the first frame.

Measured from `start` on the media stream to the first bot audio; the webhook's own time beside it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from bench import report, voices
from bench.machine import describe
from bench.processes import cores
from bench.servers import VARIANTS
from bench.steps import Cores, measure

COLUMNS = (
    "variant",
    "calls",
    "within s",
    "start→greeting ms p50",
    "p95",
    "max",
    "webhook p95",
    "failed",
)


def row(step: dict[str, Any], ramp_s: float) -> tuple[str, ...]:
    greeting, webhook = step["greeting_ms"], step["webhook_ms"]
    points = [f"{greeting.get(p, float('nan')):.1f}" for p in ("p50", "p95", "max")]
    failed = step["calls"] - step["calls_up"]
    return (
        step["variant"],
        str(step["calls"]),
        f"{ramp_s:.0f}",
        *points,
        f"{webhook.get('p95', float('nan')):.1f}",
        str(failed),
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench ramp")
    parser.add_argument("--variant", action="append", help="default: telebot-vad, telebot-full")
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--ramp", type=float, default=10.0)
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    on, machine = Cores(*cores()), describe()
    os.sched_setaffinity(0, on.load)
    voices.lines()
    steps = [
        measure(VARIANTS[name], args.calls, 5.0, on, ramp_s=args.ramp)
        for name in args.variant or ("telebot-vad", "telebot-full")
    ]
    text = report.table([row(step, args.ramp) for step in steps], COLUMNS)
    print(text)
    if not args.no_keep:
        result = {"machine": machine, "ramp_s": args.ramp, "steps": steps}
        markdown = f"{report.machine_lines(machine)}\n\n{text}"
        print(f"\nkept: {report.keep(result, markdown, 'ramp').name}")
    return 0
