"""How often the bot falls silent for nothing, and how fast it does when it is really interrupted.

Plays the scenes of `noises.py` to a server and prints, for each: what became of the replies into
which a sound fell (undisturbed · held and resumed · stopped), per minute of bot speech the stops
and the `clear`s without a word of the caller (a hold may be one too), and onset to `clear` and to
silence of the real interruptions in the same noise. The scripted recogniser of stock's bot and of
agent `bench` hears a sentence in everything: with them the VAD alone is judged. In `telebot-words`
(the default) the built-in recogniser listens, and the words count too.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import Any

from bench import noises, report
from bench.machine import describe
from bench.processes import cores, run_load
from bench.servers import VARIANTS, Variant, load_arguments, running

COLUMNS = (
    "scene",
    "sounds",
    "undisturbed",
    "held, resumed",
    "stopped",
    "stopped / min",
    "clears / min",
    "held ms p50/p95",
    "repeated ms p50/p95",
    "onset→clear p50/p95",
    "onset→silent p50/p95",
    "interruptions (missed)",
    "unanswered",
)
AT_ONCE = {"stock": 8, "telebot": 40}


def study(
    variant: Variant, seconds: float, calls_each: int, on: tuple[set[int], set[int]]
) -> dict[str, Any]:
    """All scenes against one variant, as many at once as it carries with ease."""
    names = list(noises.scenes())
    batch = max(1, AT_ONCE[variant.kind] // calls_each)
    known = [] if variant.reply_s is None else ["--reply-s", str(variant.reply_s)]
    result: dict[str, Any] = {}
    with running(variant, on[0]) as server:
        for first in range(0, len(names), batch):
            chosen = [x for name in names[first : first + batch] for x in ("--scene", name)]
            options = ["--calls-each", str(calls_each), "--seconds", str(seconds), *known]
            where = load_arguments(variant, server)
            played = run_load([*where, *options, *chosen], on[1], lambda event: None, "noise-load")
            result |= played["scenes"]
    return result


def row(name: str, scene: dict[str, Any]) -> tuple[str, ...]:
    """One scene as the cells of `COLUMNS`."""
    outcomes, counts = scene["outcomes"], scene["counts"]
    return (
        name,
        str(sum(outcomes.values())),
        str(outcomes.get("undisturbed", 0)),
        str(outcomes.get("resumed", 0)),
        str(outcomes.get("stopped", 0)),
        f"{outcomes.get('stopped', 0) / max(1.0, scene['bot_talked_s']) * 60:.1f}",
        f"{scene['clears_per_minute']:.1f}",
        report.pair(scene["held_ms"]),
        report.pair(scene["repeated_ms"]),
        report.pair(scene["onset_clear_ms"]),
        report.pair(scene["onset_silent_ms"]),
        f"{counts.get('barge_ins', 0)} ({counts.get('barge_ins_missed', 0)})",
        str(counts.get("unanswered", 0)),
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench noise")
    parser.add_argument("--variant", action="append", help="default: telebot-words, stock-full")
    parser.add_argument("--seconds", type=float, default=90.0, help="each call's length")
    parser.add_argument("--calls-each", type=int, default=2, help="callers of each scene")
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    on, machine = cores(), describe()
    os.sched_setaffinity(0, on[1])
    studies, texts = {}, [report.machine_lines(machine)]
    for name in args.variant or ("telebot-words", "stock-full"):
        studies[name] = study(VARIANTS[name], args.seconds, args.calls_each, on)
        rows = [row(scene, values) for scene, values in studies[name].items()]
        texts += [f"**{name}**", report.table(rows, COLUMNS)]
        print("\n\n".join(texts[-2:]), flush=True)
    if not args.no_keep:
        result = {"machine": machine, "seconds": args.seconds, "studies": studies}
        print(f"\nkept: {report.keep(result, chr(10).join(texts), 'noise').name}")
    return 0
