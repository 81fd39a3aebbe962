"""A program of this machine as a peer: found or skipped, started with its output in a file, waited
for, stopped. Ports come from the system and are free when a program is told of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from absent import absent

START_S = 60.0  # this machine may be busy
STOP_S = 3.0  # then it is killed: nothing of it is kept
KILLED_S = 30.0
FIRST_PORT, LAST_PORT = 10_000, 19_800
SHARES = 4  # of the ports, one for each process of a run
HOST = "127.0.0.1"


def found(program: str, package: str) -> str:
    """The path of `program`; the test is skipped where it is not installed."""
    path = shutil.which(
        program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    )
    return path or absent(f"{program} is not installed (package {package})")


def is_free(port: int, kind: socket.SocketKind, host: str) -> bool:
    with socket.socket(socket.AF_INET, kind) as one:
        try:
            one.bind((host, port))
        except OSError:
            return False
    return True


_rounds: list[int] = []  # where this process is in its share


def _firsts(count: int) -> Iterator[int]:
    """Where so many ports may begin: all around this process's share, each time a little on."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    size = (LAST_PORT - FIRST_PORT) // SHARES
    start = FIRST_PORT + worker % SHARES * size
    at = _rounds.pop() if _rounds else start + random.randrange(0, size - count, 2)
    while True:
        if at + count > start + size:
            at = start
        _rounds[:] = [at + count + count % 2]
        yield at
        at = _rounds[0]


def free_ports(count: int = 1, host: str = HOST) -> int:
    """The first, an even one, of `count` ports in a row that are free for UDP and TCP. They lie
    below what the system gives away by itself, and below a server's RTP; they are not given away
    again soon, nor by another process of this run: nobody else has them until they are bound."""
    for first in itertools.islice(_firsts(count), 200):
        if all(
            is_free(port, kind, host)
            for port in range(first, first + count)
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        ):
            return first
    raise RuntimeError(f"no {count} free ports in a row")


class Program:
    """A running program. What it wrote is at `log`."""

    def __init__(
        self, argv: Sequence[str], folder: Path, name: str, environ: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.folder = name, folder
        self.log = folder / f"{name}.log"
        self._argv = list(argv)
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """No terminal and no input, which several of them would read as commands."""
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                self._argv,
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit status, once there is one."""
        return None if self._process is None else self._process.poll()

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def until(self, condition: Callable[[], bool], within_s: float = START_S) -> None:
        """Until `condition()`; fails with the program's last words."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    if not self.running:
                        raise AssertionError(f"{self.name} ended: {self.said()[-3000:]}")
                    await asyncio.sleep(0.01)
        except TimeoutError:
            raise AssertionError(f"{self.name} is late: {self.said()[-3000:]}") from None

    async def ended(self, within_s: float) -> int:
        """Its exit status; it is stopped and fails the test where it does not end by itself."""
        try:
            async with asyncio.timeout(within_s):
                while (code := self.code) is None:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        except TimeoutError:
            await self.stop()
            raise AssertionError(f"{self.name} does not end: {self.said()[-3000:]}") from None
        return code

    async def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Asked first, then killed with all that it started."""
        if self._process is None:
            return
        if self.running:
            self._process.send_signal(with_signal)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_S):
                    while self.running:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(KILLED_S)


def listens(port: int) -> bool:
    """Somebody holds the UDP port. Looked up, as trying to bind it could take it from him."""
    lines = Path("/proc/net/udp").read_text().splitlines()[1:]
    return any(int(line.split()[1].rpartition(":")[2], 16) == port for line in lines)
