"""What the media of SIP calls costs, and how evenly it is sent: RTP in and out, nothing else.

One process with N calls on the first core (`sip_media_server.py`: ours, aiortp's `RTPSession`, or
the bare sockets), the callers on the second: a packet of 20 ms every 20 ms from each, which a bad
line loses, delays and reorders. Send jitter is the distance of two packets of one call less the
distance of their timestamps, by the kernel's clock of arrival.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from bench import report
from bench.machine import describe
from bench.processes import cores, cpu_s, pinned, priority, rss_mb
from bench.stats import summary

HOST = "127.0.0.1"
RANGE = (21_000, 23_999)
VARIANTS = (
    "floor",
    "aiortp-plain",
    "aiortp",
    "telebot",
    "telebot-silent",
    "telebot-silent-left-out",
)
STAMP = 35  # SO_TIMESTAMPNS (socket(7)); the socket module has no name for it
HEADER = struct.Struct("!BBHII")
SLOTS = 512  # ms that a packet may be on its way
COLUMNS = (
    "variant",
    "calls",
    "line",
    "core %",
    "% of a core per call",
    "send jitter ms p50/p99/max",
    "packets to callers",
    "heard",
    "MB a call",
    "load: CPU %",
)


class Callers:
    """N callers on one socket, told apart by the port that packets come from."""

    def __init__(self, bad: bool) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self._socket.bind((HOST, 0))
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        self._bad = bad
        self._random = random.Random(1)
        self._last: dict[int, tuple[float, int]] = {}
        self.jitter_ms: list[float] = []
        self.received = 0
        self.measuring = False
        self._step = 0
        self._slots: dict[int, list[tuple[int, bytes]]] = defaultdict(list)

    def _delay(self) -> int:
        """ms on the way, or -1 where it is lost."""
        if not self._bad:
            return 0
        if self._random.random() < 0.03:
            return -1
        return min(SLOTS - 1, max(0, round(self._random.gauss(100, 40))))

    def run(self, ports: Sequence[int], seconds: float) -> None:
        """Speak and listen in steps of a millisecond; packets of a call are 20 ms apart."""
        slots, step = self._slots, self._step
        began, end = time.monotonic() - step / 1000, step + round(seconds * 1000)
        audio = bytes(range(160))
        while step < end:
            for n in range(step % 20, len(ports), 20):
                number = step // 20
                if (delay := self._delay()) >= 0:
                    head = HEADER.pack(0x80, 0, number & 0xFFFF, 160 * number, n + 1)
                    slots[step + delay].append((ports[n], head + audio))
            for port, packet in slots.pop(step, ()):
                self._socket.sendto(packet, (HOST, port))
            self._listen()
            step += 1
            time.sleep(max(0.0, began + step / 1000 - time.monotonic()))
        self._step = step

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                data, (stamp, *_), _, address = self._socket.recvmsg(512, 64)
                seconds, nanoseconds = struct.unpack("@ll", stamp[2])
                if self.measuring and len(data) > 12:
                    self._arrived(address[1], seconds + nanoseconds / 1e9, data)

    def _arrived(self, port: int, at: float, data: bytes) -> None:
        ts = HEADER.unpack_from(data)[3]
        self.received += 1
        last = self._last.get(port)
        if last is not None and ts > last[1]:
            self.jitter_ms.append(abs((at - last[0]) * 1000 - (ts - last[1]) / 8))
        self._last[port] = (at, ts)

    def close(self) -> None:
        self._socket.close()


@contextlib.contextmanager
def server(variant: str, calls: int, port: int, on: set[int]) -> Iterator[Any]:
    command = [sys.executable, "-W", "ignore", "-m", "bench", "sip-media-server"]
    with pinned(on):
        process = subprocess.Popen(
            [*command, variant, str(calls), str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def measure(variant: str, calls: int, seconds: float, bad: bool, on: set[int]) -> dict[str, Any]:
    """One variant under so many calls."""
    callers = Callers(bad)
    with server(variant, calls, callers.port, on) as process:
        ports = json.loads(process.stdout.readline())["ports"]
        idle_mb = rss_mb(process.pid)
        callers.run(ports, 2.0)
        callers.measuring = True
        used, own, began = sum(cpu_s(process.pid).values()), time.process_time(), time.monotonic()
        callers.run(ports, seconds)
        wall = time.monotonic() - began
        used = sum(cpu_s(process.pid).values()) - used
        load_share = (time.process_time() - own) / wall
        mb = rss_mb(process.pid)
        process.stdin.close()
        counted = json.loads(process.stdout.readline())
        process.stdin = None
    callers.close()
    return {
        "variant": variant,
        "calls": calls,
        "line": "3 % lost, 40 ms" if bad else "good",
        "core_share": round(used / wall, 4),
        "share_per_call": round(used / wall / calls, 6),
        "send_jitter_ms": summary(callers.jitter_ms, 2),
        "received": callers.received,
        "expected": round(calls * 50 * wall),
        "counted": counted,
        "heard_share": round(counted["heard_s"] / (calls * (wall + 2.0)), 3),
        "mb_per_call": round((mb - idle_mb) / calls, 3),
        "load_share": round(load_share, 2),
    }


def row(step: dict[str, Any]) -> tuple[str, ...]:
    jitter = step["send_jitter_ms"]
    shown = "/".join(f"{jitter[p]:.1f}" for p in ("p50", "p99", "max")) if jitter["n"] else "–"
    return (
        step["variant"],
        str(step["calls"]),
        step["line"],
        f"{step['core_share']:.1%}",
        f"{step['share_per_call']:.3%}",
        shown,
        f"{step['received'] / step['expected']:.0%}",
        f"{step['heard_share']:.0%}",
        f"{step['mb_per_call']:.2f}",
        f"{step['load_share']:.0%}",
    )


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m bench sip-media")
    parser.add_argument("--variant", action="append", choices=VARIANTS)
    parser.add_argument("--calls", type=int, action="append", help="default: 100, 200, 400")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--no-keep", action="store_true")
    args = parser.parse_args(argv)
    under_test, load = cores()
    machine = {**describe(), "priority": priority()}
    os.sched_setaffinity(0, load)
    steps = []
    for calls in args.calls or (100, 200, 400):
        for variant in args.variant or VARIANTS:
            for bad in (False, True):
                if bad and variant not in ("telebot", "aiortp"):
                    continue
                steps.append(measure(variant, calls, args.seconds, bad, under_test))
                print(" · ".join(row(steps[-1])), flush=True)
    text = report.table([row(step) for step in steps], COLUMNS)
    print(f"\n{text}")
    if not args.no_keep:
        lines = f"{report.machine_lines(machine)}, priority: {machine['priority']}"
        markdown = f"{lines}\n\n{text}"
        kept = report.keep({"machine": machine, "steps": steps}, markdown, "sip-media")
        print(f"\nkept: {kept.name}")
    return 0
