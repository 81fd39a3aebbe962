"""telebot's `/v1/audio` beside LiteLLM's proxy: the same upstream, one core each, in one run.

Both are up at once on the first core and loaded in turn, never together; upstream and load share
the others. Measured: how many requests a second one core passes on, how much longer an answer takes
than from the upstream itself at the same moderate rate, how soon its first sound is passed on, and
whether memory grows over 10,000 requests. `gateway_servers.py` says how each is set up. Targets:
three times LiteLLM's requests, a third of its added p95, 3 ms to the first sound.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from bench import gateway_servers as servers
from bench import report
from bench.gateway_report import markdown, slope
from bench.gateway_upstream import KEY
from bench.machine import describe
from bench.processes import Server, as_nice, cores, cpu_s, priority, rss_mb, run_load

WHATS = ("clip", "speech-mp3", "speech-pcm")
CONNECTIONS = 32  # the load's usual number
WAIT_MS, GAP_MS = 50.0, 5.0  # of the upstream at a moderate rate: it thinks, then it streams
MODERATE = 0.25  # of what the slower gateway can do; to stream costs both of them more
OWN = 0.25  # of what telebot can do, to see the first sound at a load of its own
ANSWER_S = 0.4  # an answer at a moderate rate takes no longer; so many connections are enough
MEMORY_REQUESTS = 10_000
IDLE_S = 3.0


@dataclass(frozen=True, slots=True)
class Lines:
    """What is up."""

    upstream: Server
    null: Server
    gateways: tuple[servers.Gateway, ...]
    load: set[int]

    def url_and_key(self, name: str) -> tuple[str, str, Server]:
        """Where a load goes for one of the gateways, ``null`` or ``direct``."""
        for gateway in self.gateways:
            if gateway.name == name:
                return gateway.url, gateway.key, gateway.server
        server = self.null if name == "null" else self.upstream
        return f"{server.url}/v1", KEY, server


@contextlib.contextmanager
def lines(names: Sequence[str]) -> Iterator[Lines]:
    """Everything up, pinned, and stopped again."""
    under_test, load = cores()
    os.sched_setaffinity(0, load)
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(servers.upstream(load))
        null = stack.enter_context(servers.upstream(under_test))
        up = tuple(stack.enter_context(servers.running(n, upstream, under_test)) for n in names)
        yield Lines(upstream, null, up, load)


def measure(on: Lines, name: str, what: str, *options: str) -> dict[str, Any]:
    """One load on one of them: what the load tells, and what the server used meanwhile."""
    url, key, server = on.url_and_key(name)
    used: dict[str, float] = {}
    memory: list[float] = []

    def when(event: str) -> None:
        if event == "progress":
            memory.append(round(rss_mb(server.pid), 2))
        else:
            used[event] = sum(cpu_s(server.pid).values())
            used[f"{event} upstream"] = sum(cpu_s(on.upstream.pid).values())

    command = (url, "--what", what, "--key", key, *options)
    told = run_load(command, on.load, when, "gateway-load")
    wall_s, cpu = told["seconds"], used["done"] - used["steady"]
    upstream_cpu = used["done upstream"] - used["steady upstream"]
    told |= {
        "name": name,
        "core_share": round(cpu / wall_s, 3),
        "cpu_ms_per_request": round(cpu * 1000 / max(1, told["requests"]), 3),
        "per_core_s": round(told["requests"] / cpu, 1) if cpu else None,
        "upstream_share": round(upstream_cpu / wall_s, 3),
        "memory_mb": memory,
    }
    told.pop("event")
    failed = f", FAILED {told['failures']}" if told["failures"] else ""
    whole = told["whole_ms"]
    at = f"at {told['rate']:.0f}/s" if told["rate"] else "as fast as answered"
    print(
        f"  {name}, {what}, {at}: {told['per_s']}/s, {told['cpu_ms_per_request']} ms CPU each, "
        f"p50/p95 {whole.get('p50')}/{whole.get('p95')} ms{failed}",
        flush=True,
    )
    return told


def idle(on: Lines) -> dict[str, float]:
    """What each gateway takes of its core while nobody asks."""
    before = {g.name: sum(cpu_s(g.server.pid).values()) for g in on.gateways}
    time.sleep(IDLE_S)
    return {
        g.name: round((sum(cpu_s(g.server.pid).values()) - before[g.name]) / IDLE_S, 3)
        for g in on.gateways
    }


def throughput(on: Lines, seconds: float, rounds: int) -> list[dict[str, Any]]:
    """As fast as they answer; the null server shows what the load can do."""
    servers.told(on.upstream, "/waits/0/0")
    names = [gateway.name for gateway in on.gateways]
    steps = []
    for what in WHATS:
        steps.append(measure(on, "null", what, "--seconds", str(min(3.0, seconds))))
        for _ in range(rounds):
            steps += [measure(on, name, what, "--seconds", str(seconds)) for name in names]
    return steps


def latency(
    on: Lines, fast: list[dict[str, Any]], seconds: float, rounds: int
) -> list[dict[str, Any]]:
    """At the same moderate rate, each beside the upstream itself; telebot also at its own."""
    servers.told(on.upstream, f"/waits/{WAIT_MS}/{GAP_MS}")
    steps = []
    for what in WHATS:
        can = {g.name: best(fast, g.name, what) for g in on.gateways}
        rate = max(5.0, round(MODERATE * min(can.values())))
        for _ in range(rounds):
            for name in ("direct", *can):
                steps.append(measure(on, name, what, *_at(rate, seconds)))
        own = round(OWN * can.get("telebot", 0.0))
        if own > rate and what != "clip":
            steps.append(measure(on, "telebot", what, *_at(own, seconds)))
    servers.told(on.upstream, "/waits/0/0")
    return steps


def _at(rate: float, seconds: float) -> tuple[str, ...]:
    connections = CONNECTIONS + round(rate * ANSWER_S)
    return ("--rate", str(rate), "--seconds", str(seconds), "--connections", str(connections))


def best(steps: list[dict[str, Any]], name: str, what: str) -> float:
    """The most requests a second of the rounds of one step."""
    return max(s["per_s"] for s in steps if (s["name"], s["what"]) == (name, what))


def memory(on: Lines, requests: int) -> list[dict[str, Any]]:
    """Clips and texts in turn, and the growth of the second half by regression."""
    steps = []
    for gateway in on.gateways:
        often = ("--requests", str(requests), "--seconds", "600")
        step = measure(on, gateway.name, "mixed", *often)
        half = step["memory_mb"][len(step["memory_mb"]) // 2 :]
        steps.append({**step, "growth": slope(half)})
        print(f"    {step['memory_mb'][0]} → {step['memory_mb'][-1]} MB, {slope(half)}", flush=True)
    return steps


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench gateway")
    parser.add_argument("--only", choices=servers.NAMES, help="one gateway alone")
    parser.add_argument("--seconds", type=float, default=8.0, help="of each step")
    parser.add_argument("--rounds", type=int, default=2, help="of each step, gateways in turn")
    parser.add_argument("--requests", type=int, default=MEMORY_REQUESTS, help="for the memory")
    parser.add_argument("--skip", action="append", default=[], choices=("latency", "memory"))
    parser.add_argument("--no-keep", action="store_true", help="print, write no file")
    args = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what is up is stopped
    names = [args.only] if args.only else list(servers.NAMES)
    if "litellm" in names:
        servers.litellm_environment()  # made before anything is measured
    result: dict[str, Any] = {"machine": describe(), "litellm": servers.litellm_version()}
    result["priority"] = priority()
    as_nice(os.getpid())
    with lines(names) as on:
        result["idle_share"] = idle(on)
        result["throughput"] = throughput(on, args.seconds, args.rounds)
        if "latency" not in args.skip:
            fast = result["throughput"]
            result["latency"] = latency(on, fast, args.seconds, args.rounds)
        if "memory" not in args.skip:
            result["memory"] = memory(on, args.requests)
        result["upstream"] = servers.told(on.upstream, "/stats")
    text = markdown(result)
    print(f"\n{text}")
    if not args.no_keep:
        print(f"\nkept: {report.keep(result, text, 'gateway').name}")
    return 0
