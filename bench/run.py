"""The capacity run: stock and telebot side by side, each on one core, until it is too much.

For each variant call counts are stepped up until the bot answers too late (response p95 over 50 ms
less the configured waits), stutters, or loses calls; the last count that passed is "calls on one
core". Prints one table and keeps it under `results/`. About 4 minutes with `--quick`, 15 whole.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from bench import report, voices
from bench.machine import describe
from bench.processes import ServerFailed, cores
from bench.servers import VARIANTS, Variant
from bench.steps import Cores, broken, measure


@dataclass(frozen=True, slots=True)
class Ladder:
    """Call counts to try, in order, with one variant."""

    variant: str
    calls: tuple[int, ...]
    refine: int = 0
    """How often to halve what lies between the last count that passed and the first that failed."""


FULL = (
    Ladder("stock-vad", (1, 10, 20, 30)),
    Ladder("telebot-vad", (20, 100, 250, 350, 450), refine=1),
    Ladder("telebot-vad-100ms", (250,)),
    Ladder("telebot-chain", (100, 250)),
    Ladder("stock-full", (1, 10, 20)),
    Ladder("telebot-full", (20, 60, 100, 140)),
    Ladder("floor", (300,)),
)
QUICK = (
    Ladder("stock-vad", (10,)),
    Ladder("telebot-vad", (100, 250)),
    Ladder("telebot-chain", (100,)),
    Ladder("stock-full", (10,)),
    Ladder("telebot-full", (40,)),
)


def climb(ladder: Ladder, step: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The steps of one ladder, each made by `step(calls)`; stops when it is too much.

    Too much is a count that is not usable any more, or where `refine` is set one that misses any
    condition.
    """
    steps: list[dict[str, Any]] = []
    for calls in ladder.calls:
        steps.append(step(calls))
        if broken(steps[-1]) or (ladder.refine and steps[-1]["missed"]):
            break
    if steps[-1]["missed"]:
        too_many = steps[-1]["calls"]
        for _ in range(ladder.refine):
            steps.append(step((carried(steps) + too_many) // 2))
            if steps[-1]["missed"]:
                too_many = steps[-1]["calls"]
    return steps


def _step(variant: Variant, seconds: float, on: Cores, calls: int) -> dict[str, Any]:
    step = measure(variant, calls, seconds, on)
    cells = (f"{c}: {v}" for c, v in zip(report.COLUMNS[2:], report.row(step)[2:], strict=True))
    print(f"  {variant.name}, {calls} calls: {', '.join(cells)}", flush=True)
    return step


def carried(steps: Sequence[dict[str, Any]]) -> int:
    """The most calls that met every condition; 0 when none did."""
    return max((s["calls"] for s in steps if not s["missed"]), default=0)


def usable(steps: Sequence[dict[str, Any]]) -> int:
    """The most calls that were at least usable, however late the answers."""
    return max((s["calls"] for s in steps if not broken(s)), default=0)


def markdown(result: dict[str, Any]) -> str:
    """The whole result for people."""
    rows = [report.row(step) for steps in result["ladders"].values() for step in steps]
    capacity = [
        (name, str(carried(steps)), str(usable(steps)))
        for name, steps in result["ladders"].items()
        if steps and name != "floor"
    ]
    columns = ("variant", "calls on one core (all conditions)", "usable (no stutter, all answered)")
    failures = [f"**{name} did not run**: {why}" for name, why in result["failures"].items()]
    return "\n\n".join(
        (
            report.machine_lines(result["machine"]),
            report.table(rows),
            report.table(capacity, columns),
            *failures,
            "Response: last frame of caller speech to first bot frame, less 220 ms configured "
            "waits. Gaps: between messages of one reply; over 60 ms counts where pieces are at "
            "most 45 ms. Thin: gaps over 60 ms that ended with less than 20 ms left to play. "
            "Starved: play-out ran dry inside a reply. Greeting: as the step's calls arrive.",
        )
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench run")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter steps")
    parser.add_argument("--seconds", type=float, help="measured time of each step")
    parser.add_argument("--only", action="append", help="a variant (repeatable)")
    parser.add_argument("--calls", type=int, action="append", help="instead of the ladder's counts")
    parser.add_argument("--no-keep", action="store_true", help="print, write no file")
    args = parser.parse_args(argv)
    seconds = args.seconds or (18.0 if args.quick else 30.0)
    on = Cores(*cores())
    machine = describe()
    os.sched_setaffinity(0, on.load)  # watching and carrier REST stay off the server's core
    voices.lines()
    ladders: dict[str, list[dict[str, Any]]] = {}
    failures: dict[str, str] = {}
    for ladder in QUICK if args.quick else FULL:
        if args.only and ladder.variant not in args.only:
            continue
        counts = tuple(args.calls) if args.calls else ladder.calls
        try:
            step = partial(_step, VARIANTS[ladder.variant], seconds, on)
            ladders[ladder.variant] = climb(replace(ladder, calls=counts), step)
        except (ServerFailed, RuntimeError) as error:
            print(f"  {ladder.variant}: {error}", file=sys.stderr, flush=True)
            failures[ladder.variant] = str(error).strip().splitlines()[-1][:200]
    result = {"machine": machine, "seconds": seconds, "ladders": ladders, "failures": failures}
    text = markdown(result)
    print(f"\n{text}")
    if not args.no_keep:
        print(f"\nkept: {report.keep(result, text, 'quick' if args.quick else '').name}")
    return 1 if failures else 0
