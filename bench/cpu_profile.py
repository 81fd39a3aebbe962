"""Where the server's CPU goes under load, by the sampler py-spy (100 times a second, all threads).

Each sample counts for the innermost function that belongs to a package we name, so that the time
of C code called from there is with its caller. Needs `pip install py-spy`; the server runs unpinned
from the sampler, which is not counted.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from bench import report, voices
from bench.machine import describe
from bench.processes import cores, pinned, run_load
from bench.servers import VARIANTS, load_arguments, running

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
    name, _, where = frame.partition(" (")
    path = where.rstrip(")").rpartition(":")[0] or where.rstrip(")")
    return f"{name} ({'/'.join(Path(path).parts[-2:])})" if path else name


def sample(pid: int, seconds: float, out: Path, done: list[int]) -> None:
    """Record folded stacks of a process tree for `seconds` into `out`."""
    spy = shutil.which("py-spy", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    if spy is None:
        raise FileNotFoundError("py-spy is not installed (pip install py-spy)")
    options = ["--format", "raw", "--rate", "100", "--subprocesses", "--nonblocking"]
    command = [spy, "record", *options, "-d", str(round(seconds)), "-o", str(out), "-p", str(pid)]
    done.append(subprocess.run(command, capture_output=True, check=False).returncode)


def share_table(counts: Counter[str], most: int) -> str:
    total = sum(counts.values()) or 1
    rows = [(name, f"{count / total:.1%}") for name, count in counts.most_common(most)]
    return report.table(rows, ("where", "share of CPU samples"))


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench profile")
    parser.add_argument("--variant", default="telebot-vad", choices=sorted(VARIANTS))
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    on, machine, variant = cores(), describe(), VARIANTS[args.variant]
    os.sched_setaffinity(0, on[1])
    voices.lines()
    with tempfile.TemporaryDirectory() as folder, running(variant, on[0]) as server:
        out, done = Path(folder) / "stacks", list[int]()
        spying = threading.Thread(target=sample, args=(server.pid, args.seconds, out, done))

        def when(event: str) -> None:
            if event == "steady":
                with pinned(on[1]):
                    spying.start()

        load = ["--calls", str(args.calls), "--seconds", str(args.seconds + 2)]
        run_load([*load_arguments(variant, server), *load], on[1], when)
        spying.join()
        lines = out.read_text().splitlines() if out.exists() else []
    packages, functions = read_folded(lines)
    if not packages:
        print(f"no samples (py-spy ended with {done})", file=sys.stderr)
        return 1
    head = f"{args.variant}, {args.calls} calls"
    texts = [head, share_table(packages, 20), share_table(functions, 40)]
    print("\n\n".join(texts))
    if not args.no_keep:
        result = {"machine": machine, "variant": args.variant, "calls": args.calls}
        result |= {"packages": dict(packages), "functions": dict(functions.most_common(100))}
        text = "\n\n".join((report.machine_lines(machine), *texts))
        print(f"\nkept: {report.keep(result, text, f'profile-{args.variant}').name}")
    return 0
