"""Servers under test as processes: started on given cores, watched through /proc, stopped.

CPU and memory are those of the whole tree: a model in a process of its own counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
START_LIMIT_S = 120.0
STOP_LIMIT_S = 20.0


class ServerFailed(Exception):
    """The server did not start, or ended by itself; the message holds the end of its log."""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def cores() -> tuple[set[int], set[int]]:
    """(server's core, the load's cores). Raises RuntimeError on a machine with one core."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        raise RuntimeError("two cores are needed: one for the server, one for the load")
    return {usable[0]}, set(usable[1:])


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from `state` (field 3) on; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree(root: int) -> list[int]:
    """`root` and all its descendants that are alive."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError, IndexError):
                children.setdefault(int(_stat(int(entry))[1]), []).append(int(entry))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def cpu_s(root: int) -> dict[int, float]:
    """CPU seconds so far of each process of the tree; ended children are in their parent's."""
    used = {}
    for pid in tree(root):
        with contextlib.suppress(OSError, IndexError):
            used[pid] = sum(int(x) for x in _stat(pid)[11:15]) / TICKS_PER_S
    return used


def rss_mb(root: int) -> float:
    """Resident memory of the tree, in MB (pages shared between its processes count twice)."""
    total_kb = 0
    for pid in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total_kb += int(line.split()[1])
    return total_kb / 1024


@contextlib.contextmanager
def pinned(to: set[int]) -> Iterator[None]:
    """Processes started inside inherit these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, to)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def priority() -> str:
    """How this process, and what it starts, is scheduled."""
    if os.sched_getscheduler(0) in (os.SCHED_FIFO, os.SCHED_RR):
        return "real-time"
    return f"nice {os.nice(0)}" if os.nice(0) else "usual"


def as_nice(pid: int) -> None:
    """Give the session of a process this one's priority: with many kernels `nice` counts inside a
    session alone, and each session is as good as any other (autogroups, sched(7))."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(os.nice(0)))


@dataclass
class Server:
    """A running server under test."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def log_end(self, size: int = 2000) -> str:
        return self.log.read_text(errors="replace")[-size:]

    def stop(self) -> None:
        """SIGTERM, then SIGKILL for what is left of the process group."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def _answers(url: str, any_status: bool) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError:
        return any_status
    except OSError:
        return False


def start(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    url: str,
    ready_path: str,
    folder: Path,
    on: set[int],
) -> Server:
    """Start a server on the cores `on` and wait until it answers. Raises ServerFailed.

    `ready_path` must answer 2xx; an empty one is content with any answer at `/`.
    """
    log = folder / "server.log"
    with pinned(on), log.open("wb") as out:
        process = subprocess.Popen(
            command, env=dict(env), stdout=out, stderr=out, start_new_session=True
        )
    as_nice(process.pid)
    server = Server(process, url, log)
    limit_s = time.monotonic() + START_LIMIT_S
    while not _answers(f"{url}{ready_path or '/'}", any_status=not ready_path):
        if process.poll() is not None or time.monotonic() > limit_s:
            server.stop()
            raise ServerFailed(f"{' '.join(command)}\n{server.log_end()}")
        time.sleep(0.1)
    return server


def run_load(
    arguments: Sequence[str], on: set[int], when: Callable[[str], None], module: str = "load"
) -> dict[str, Any]:
    """Run `python -m bench MODULE` on the cores `on`; its result.

    `when` is told `steady` and `done` at the moment the load says so. Raises RuntimeError when the
    load ends without a result.
    """
    command = [sys.executable, "-W", "ignore", "-m", "bench", module, *arguments]
    result: dict[str, Any] | None = None
    with pinned(on):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout as lines:
        for line in lines:
            said = json.loads(line)
            if said["event"] == "result":
                result = said
            else:
                when(said["event"])
    if result is None:
        raise RuntimeError(f"the load failed with status {process.returncode}")
    return result
