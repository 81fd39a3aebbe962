"""How long a caller waits when a vendor fails: every fault at every point, in spoken calls.

Each call has one vendor that fails in one way (`failover_cases.py`); the vendors are simulated, the
speech is real. The caller asks, hears the answer, says goodbye and hears that answered. Silence is
what the caller hears in all before and in a reply, from the end of its own words on: endpointing
and detection are in it, pauses of more than 200 ms count as far as the healthy call has none. Every
word is looked for by its samples. Then: how much later the first audio of a call comes while a
breaker is open, beside a chain without that vendor, call by call.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.failover_calls import Caller, Ears, Outcome, calls
from bench.failover_cases import KINDS, USUAL, Case, Stage, matrix, simulated, staged, write_config
from bench.failover_words import Voice
from bench.machine import describe
from bench.processes import Server, cores, free_port, start
from bench.servers import ADMIN_KEY, kept_environment, serve_command
from bench.stats import midmean, summary
from telebot.providers.local_speech import LocalSpeech
from telebot.simulate.faults import POINTS

AT_ONCE = 4
WORST_S, P95_S, OPEN_MS = 2.5, 1.5, 10.0  # what is asked for


@contextlib.contextmanager
def serving(
    folder: Path, config: Path, environ: Mapping[str, str], on: set[int]
) -> Iterator[Server]:
    """A server of this configuration."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    env = {**kept_environment(), **environ, "TELEBOT_ADMIN_KEY": ADMIN_KEY}
    command = serve_command(port, folder, config)
    server = start(command, env, url=url, ready_path="/health/ready", folder=folder, on=on)
    try:
        yield server
    finally:
        server.stop()


def without(stage: Stage) -> list[Any]:
    """The links behind the one that fails."""
    chain: list[Any] = stage.agent()["speech"][stage.case.kind]
    return chain[1:]


async def rehearse(
    cases: Sequence[Case], at_once: int, rounds: int, on: set[int], recordings: Path | None
) -> tuple[list[Outcome], dict[str, dict[str, Any]]]:
    """The calls of all cases, and what an open breaker costs in so many pairs of calls a kind."""
    local, ears = LocalSpeech(), Ears()
    folder = Path(tempfile.mkdtemp(prefix="telebot-failover-"))
    try:
        await local.load()
        opened = [Case(kind, USUAL[kind], "401", "connect") for kind in KINDS] if rounds else []
        async with staged(local, [*cases, *opened]) as (stages, environ):
            asked, pairs = stages[: len(cases)], stages[len(cases) :]
            agents = {stage.case.name: stage.agent() for stage in asked}
            for stage in pairs:
                agents[f"open-{stage.case.kind}"] = stage.agent()
                agents[f"without-{stage.case.kind}"] = stage.agent(without(stage))
            config = write_config(folder, agents)
            with contextlib.ExitStack() as stack:
                running = serving(folder, config, environ, on)
                # in a thread: at its start it asks the vendors, which are here
                server = await asyncio.to_thread(stack.enter_context, running)
                caller = Caller(server.url, ADMIN_KEY, ears, Voice(local), recordings)
                outcomes = await calls(caller, asked, at_once)
                opening = (_open(caller, stage, rounds) for stage in pairs)  # kinds side by side
                found = await asyncio.gather(*opening)
                costs = {str(s.case.kind): cost for s, cost in zip(pairs, found, strict=True)}
        return outcomes, costs
    finally:
        ears.close()
        await asyncio.to_thread(local.close)
        shutil.rmtree(folder, ignore_errors=True)


async def _open(caller: Caller, stage: Stage, rounds: int) -> dict[str, Any]:
    """First audio with the breaker open and without the vendor, in turn (ms)."""
    kind = stage.case.kind
    await caller.first_s(stage, f"open-{kind}")  # opens it
    found: dict[str, list[float]] = {"open": [], "without": []}
    for number in range(rounds):
        for name in sorted(found, reverse=bool(number % 2)):
            first_s = await caller.first_s(stage, f"{name}-{kind}")
            if first_s is not None:
                found[name].append(first_s * 1000)
    difference = [a - b for a, b in zip(found["open"], found["without"], strict=False)]
    return {
        **{name: summary(values) for name, values in found.items()},
        "later_ms": round(midmean(difference), 1) if difference else None,
    }


def silences(outcomes: Sequence[Outcome]) -> dict[Case, float | None]:
    """Seconds of silence in each call with a fault."""
    well = {(o.case.kind, o.case.vendor): o for o in outcomes if not o.case.fault}
    faulty = (o for o in outcomes if o.case.fault)
    return {o.case: o.silence_s(well[o.case.kind, o.case.vendor]) for o in faulty}


def tables(outcomes: Sequence[Outcome]) -> tuple[str, dict[str, Any]]:
    """By kind, fault and point, and in all; the same for a program."""
    waited = silences(outcomes)
    parts, figures = [], {}
    for kind, vendor in dict.fromkeys((case.kind, case.vendor) for case in waited):
        of = {c: s for c, s in waited.items() if (c.kind, c.vendor) == (kind, vendor)}
        rows = []
        for fault in dict.fromkeys(case.fault for case in of):
            cells = (of.get(Case(kind, vendor, fault, point)) for point in POINTS)
            rows.append((fault, *("none" if s is None else f"{s:.2f}" for s in cells)))
        columns = (f"{kind} {vendor}: silence s", *POINTS)
        parts.append(report.table(rows, columns))
        figures[f"{kind} {vendor}"] = _figures(list(of.values()))
    figures["all"] = _figures(list(waited.values()))
    rows = [(name, *(str(f.get(k, "–")) for k in ("n", "p50", "p95", "max", "unanswered")))
            for name, f in figures.items()]  # fmt: skip
    parts.append(report.table(rows, ("silence", "calls", "p50 s", "p95 s", "max s", "unanswered")))
    return "\n\n".join(parts), figures


def _figures(values: Sequence[float | None]) -> dict[str, Any]:
    known = [value for value in values if value is not None]
    return {**summary(known, 2), "unanswered": len(values) - len(known)}


def wrong(outcomes: Sequence[Outcome]) -> tuple[str, int]:
    """Each call that is not as it should be, and how many there are."""
    bad = [f"{outcome.case.name}: {fault}" for outcome in outcomes for fault in outcome.wrong()]
    calls_ = sum(bool(outcome.wrong()) for outcome in outcomes)
    again = sum(len(reply.verdict.repeated) for o in outcomes for reply in o.replies)
    bad.append(f"{len(outcomes)} calls, {calls_} of them wrong, {again} words said again")
    return "\n".join(bad), calls_


def missed(figures: Mapping[str, Any], costs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Which of the targets were not met."""
    all_, faults = figures["all"], []
    if all_["unanswered"]:
        faults.append(f"{all_['unanswered']} unanswered")
    if all_.get("max", 0.0) > WORST_S:
        faults.append(f"worst silence {all_['max']} s, asked for {WORST_S}")
    if all_.get("p95", 0.0) >= P95_S:
        faults.append(f"silence p95 {all_['p95']} s, asked for {P95_S}")
    for kind, cost in costs.items():
        later_ms = cost["later_ms"]
        if later_ms is None or later_ms >= OPEN_MS:
            faults.append(f"{kind}: an open breaker adds {later_ms} ms, asked for {OPEN_MS}")
    return faults


def open_table(costs: Mapping[str, Mapping[str, Any]]) -> str:
    """What an open breaker costs."""
    rows = [
        (
            kind,
            str(cost["open"]["n"]),
            _ms(cost["open"]),
            _ms(cost["without"]),
            f"{cost['later_ms']}",
        )
        for kind, cost in costs.items()
    ]
    columns = ("kind", "pairs", "breaker open: p50/p95 ms", "without that vendor", "later by, ms")
    return report.table(rows, columns)


def _ms(values: Mapping[str, Any]) -> str:
    return report.pair(dict(values))


def chosen(args: argparse.Namespace) -> list[Case]:
    """The cases that the command line asks for."""
    cases = []
    for kind in args.kind or KINDS:
        known = simulated(kind)
        vendors = known if args.every else [v for v in args.vendor or [USUAL[kind]] if v in known]
        for vendor in vendors:
            cases += [case for case in matrix(kind, vendor) if _wanted(case, args.fault)]
    return cases


def _wanted(case: Case, faults: Sequence[str] | None) -> bool:
    name = case.fault.partition(":")[0]
    return not faults or not name or name in faults or f"{name}@{case.point}" in faults


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench failover")
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--vendor", action="append", help="instead of the usual one; repeatable")
    parser.add_argument("--every", action="store_true", help="every vendor that is simulated")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="calls side by side")
    parser.add_argument("--pairs", type=int, default=24, help="of calls for the open breaker")
    parser.add_argument("--fault", action="append", help="only these (with @POINT: only there)")
    parser.add_argument("--wav", type=Path, help="keep calls that go wrong in this folder")
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    cases, on, machine = chosen(args), cores(), describe()
    os.sched_setaffinity(0, on[1])
    outcomes, costs = asyncio.run(rehearse(cases, args.at_once, args.pairs, on[0], args.wav))
    text, figures = tables(outcomes)
    said, bad = wrong(outcomes)
    faults = missed(figures, costs)
    parts = [text, open_table(costs), said, f"{args.at_once} calls at once"]
    parts.append("missed: " + ("; ".join(faults) or "nothing"))
    whole = "\n\n".join(parts)
    print(whole)
    if not args.no_keep:
        result = {
            "machine": machine,
            "at_once": args.at_once,
            "silence_s": {case.name: s for case, s in silences(outcomes).items()},
            "figures": figures,
            "open": costs,
            "missed": faults,
        }
        kept = report.keep(result, f"{report.machine_lines(machine)}\n\n{whole}", "failover")
        print(f"\nkept: {kept.name}")
    return 1 if bad or figures["all"]["unanswered"] else 0
