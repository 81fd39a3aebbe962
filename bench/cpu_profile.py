"""Where the server's CPU goes under load: by library (perf) and by Python function (py-spy).

perf counts all CPU, also what runs without Python's lock (models, system calls). py-spy counts who
holds the lock, 100 times a second: each sample belongs to the innermost function of a package
that is named below, so that C code called from there is with its caller. Both are optional: perf is
Debian's `linux-perf`, py-spy is on PyPI. The samplers run on the load's core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import report, voices
from bench.machine import describe
from bench.processes import cores, run_load, tree
from bench.servers import VARIANTS, Variant, load_arguments, running
from bench.steps import Watch

RATE_HZ = 100
PLACES = (
    ("bench/stock", "the bot's own script"),
    ("telebot/", "telebot"),
    ("pipecat/", "pipecat"),
    ("aiohttp/", "aiohttp"),
    ("uvicorn/", "uvicorn, websockets, starlette"),
    ("websockets/", "uvicorn, websockets, starlette"),
    ("starlette/", "uvicorn, websockets, starlette"),
    ("fastapi/", "uvicorn, websockets, starlette"),
    ("onnxruntime/", "onnxruntime"),
    ("soxr/", "soxr"),
    ("loguru/", "loguru"),
    ("structlog/", "structlog"),
    ("sqlalchemy/", "sqlalchemy, sqlite"),
    ("aiosqlite/", "sqlalchemy, sqlite"),
    ("numpy/", "numpy"),
    ("asyncio/runners.py", "the loop itself (uvloop, sockets, timers)"),
    ("uvloop/", "the loop itself (uvloop, sockets, timers)"),
    ("asyncio/", "asyncio"),
    ("futures/", "executor threads"),
)


def place(frame: str) -> str | None:
    """The package of one frame `function (path:line)`, None when it is not one of `PLACES`."""
    return next((name for part, name in PLACES if part in frame), None)


def read_folded(lines: Iterable[str]) -> tuple[Counter[str], Counter[str]]:
    """Samples by package and by function from py-spy's folded stacks (`a;b;c 12`)."""
    packages: Counter[str] = Counter()
    functions: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if not stack or not count.isdigit():
            continue
        frames = stack.split(";")
        package = next((p for f in reversed(frames) if (p := place(f))), "other")
        packages[package] += int(count)
        functions[f"{package}: {_short(frames[-1])}"] += int(count)
    return packages, functions


def _short(frame: str) -> str:
    """`function (file:line)` with the last two parts of the path and no line."""
    if frame.startswith("process "):  # a stack without a function: the command line says nothing
        return "no function"
    name, _, where = frame.partition(" (")
    path = where.rstrip(")").rpartition(":")[0] or where.rstrip(")")
    return f"{name} ({'/'.join(Path(path).parts[-2:])})" if path else name


def by_library(pid: int, seconds: float, folder: Path) -> list[tuple[str, str]]:
    """(library, share) of all CPU of a process tree within `seconds`; empty without perf."""
    perf = shutil.which("perf")
    if perf is None:
        time.sleep(seconds)
        return []
    data = str(folder / "perf.data")
    pids = ",".join(map(str, tree(pid)))
    record = [perf, "record", "-q", "-F", "299", "-o", data, "-p", pids, "--", "sleep"]
    subprocess.run([*record, str(seconds)], capture_output=True, check=False)
    show = [perf, "report", "-i", data, "--sort", "dso", "--stdio", "-q"]
    out = subprocess.run(show, capture_output=True, text=True, check=False).stdout
    rows = [line.split(None, 1) for line in out.splitlines() if "%" in line]
    return [(library.strip(), share) for share, library in rows]


def by_function(pid: int, seconds: float, folder: Path) -> list[str]:
    """py-spy's folded stacks of a process tree within `seconds`; empty without py-spy."""
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if spy is None:
        return []
    out = folder / "stacks"
    options = ["--format", "raw", "--rate", str(RATE_HZ), "--subprocesses", "--gil"]
    command = [spy, "record", *options, "-d", str(round(seconds)), "-o", str(out), "-p", str(pid)]
    subprocess.run(command, capture_output=True, check=False)
    return out.read_text().splitlines() if out.exists() else []


@dataclass
class Profile:
    """Runs both samplers, one after the other, from the moment the load is steady."""

    pid: int
    seconds: float
    folder: Path
    libraries: list[tuple[str, str]] = field(default_factory=list)
    stacks: list[str] = field(default_factory=list)

    def run(self) -> None:
        self.libraries = by_library(self.pid, self.seconds, self.folder)
        self.stacks = by_function(self.pid, self.seconds, self.folder)


def share_table(counts: Counter[str], most: int) -> str:
    """The `most` frequent entries with their share of all samples."""
    total = sum(counts.values()) or 1
    rows = [(name, f"{count / total:.1%}") for name, count in counts.most_common(most)]
    return report.table(rows, ("where", "share of samples"))


def watched(
    variant: Variant, calls: int, seconds: float, on: tuple[set[int], set[int]]
) -> tuple[Profile, Watch]:
    """Run the load with the samplers beside it. Raises processes.ServerFailed."""
    with tempfile.TemporaryDirectory() as folder, running(variant, on[0]) as server:
        profile, watch = Profile(server.pid, seconds, Path(folder)), Watch(server.pid)
        sampling = threading.Thread(target=profile.run)

        def when(event: str) -> None:
            watch(event)
            if event == "steady":
                sampling.start()

        load = ["--calls", str(calls), "--seconds", str(2 * seconds + 3)]
        ramp = ["--ramp", str(max(3.0, calls / 20))]
        run_load([*load_arguments(variant, server), *load, *ramp], on[1], when)
        sampling.join()
    return profile, watch


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench profile")
    parser.add_argument("--variant", default="telebot-vad", choices=sorted(VARIANTS))
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    on, machine = cores(), describe()
    os.sched_setaffinity(0, on[1])
    voices.lines()
    profile, watch = watched(VARIANTS[args.variant], args.calls, args.seconds, on)
    packages, functions = read_folded(profile.stacks)
    per_call = watch.used_s / (args.calls * watch.wall_s / 60)
    texts = [
        f"{args.variant}, {args.calls} calls: {per_call:.3f} CPU-s per call-minute",
        report.table(profile.libraries[:15], ("library", "share of CPU (perf)")),
        share_table(packages, 20),
        share_table(functions, 40),
    ]
    print("\n\n".join(texts))
    if not args.no_keep:
        result = {"machine": machine, "variant": args.variant, "calls": args.calls}
        result |= {"cpu_s_per_call_minute": per_call, "libraries": profile.libraries}
        result |= {"packages": dict(packages), "functions": dict(functions.most_common(100))}
        text = "\n\n".join((report.machine_lines(machine), *texts))
        print(f"\nkept: {report.keep(result, text, f'profile-{args.variant}').name}")
    return 0 if packages or profile.libraries else 1
