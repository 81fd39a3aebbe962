"""Faults on command: what goes wrong at a simulated vendor, where in an exchange, how often.

Pure but for `asyncio.sleep`. `server.py` owns the one `Faults`; every vendor's file asks its
`Exchange` at each point that it reaches, and shows the fault in the vendor's own words.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from telebot.call.errors import ConfigError
from telebot.simulate.registry import VENDORS

T = TypeVar("T")

Name = Literal["latency", "401", "429", "500", "drop", "stall", "silence", "garbage", "slow_reader"]
Point = Literal["connect", "first", "middle", "end"]
NAMES: tuple[Name, ...] = get_args(Name)
POINTS: tuple[Point, ...] = get_args(Point)
KINDS = ("stt", "llm", "tts", "realtime")
SECONDS = re.compile(r"(?:\d+(?:\.\d+)?)?")
TIMES = re.compile(r"(?:[1-9]\d*)?")
STALL_S = 60.0  # longer than anybody waits, and bounded all the same


@dataclass(slots=True)
class Fault:
    """One thing that goes wrong.

    `vendor` and `kind` (``stt``, ``llm``, ``tts``, ``realtime``; "" is any) say where, `point`
    when: while connecting, before the first output, in the middle of the outputs, before the last.
    `seconds` is the length of a latency, `times` how often it happens (None: always).
    """

    name: Name
    vendor: str
    kind: str = ""
    point: Point = "connect"
    seconds: float = 1.0
    times: int | None = None

    @classmethod
    def parse(cls, text: str) -> Fault:
        """``VENDOR[.KIND]=NAME[:SECONDS][@POINT][xTIMES]``, e.g. ``deepgram.stt=drop@middle``,
        ``openai.llm=latency:2.5@first x1``. Raises ConfigError."""
        where, sign, what = text.replace(" ", "").partition("=")
        vendor, _, kind = where.partition(".")
        if sign and (vendor not in (*VENDORS, "*") or kind not in ("", *KINDS)):
            raise ConfigError(
                f"{text!r}: nobody is called {where!r}; write VENDOR or VENDOR.KIND, VENDOR one of "
                f"{', '.join(VENDORS)} or * for all, KIND one of {', '.join(KINDS)}"
            )
        what, _, times = what.partition("x")
        what, _, point = what.partition("@")
        name, _, seconds = what.partition(":")
        if not sign or not vendor or name not in NAMES or (point or "connect") not in POINTS:
            raise ConfigError(
                f"{text!r} is no fault; write VENDOR.KIND=NAME@POINT, NAME one of "
                f"{', '.join(NAMES)}, POINT one of {', '.join(POINTS)}"
            )
        number = SECONDS.fullmatch(seconds) and TIMES.fullmatch(times)
        if not number:
            raise ConfigError(f"{text!r}: write numbers: =latency:2.5@first x1")
        return cls(
            name,
            vendor,
            kind,
            point or "connect",  # type: ignore[arg-type]
            float(seconds or 1.0),
            int(times) if times else None,
        )

    def __str__(self) -> str:
        """As `parse` reads it."""
        where = f"{self.vendor}.{self.kind}" if self.kind else self.vendor
        length = f":{self.seconds:g}" if self.name == "latency" else ""
        times = "" if self.times is None else f" x{self.times}"
        return f"{where}={self.name}{length}@{self.point}{times}"


class Refused(Exception):
    """The vendor refuses: 401, 429 or 500, to be said in its own words."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Dropped(Exception):
    """The connection is to be cut without a word."""


class Garbage(Exception):
    """Bytes that mean nothing are to be sent now, in the framing of the vendor's wire."""


class Faults:
    """Which faults are on. Changed while exchanges run; each of them looks when it gets there."""

    def __init__(self, faults: Sequence[Fault] = ()) -> None:
        self.on: list[Fault] = list(faults)

    def take(self, vendor: str, kind: str, point: Point) -> Fault | None:
        """The fault that happens now, counted; None mostly."""
        for fault in self.on:
            fits = fault.vendor in (vendor, "*") and fault.kind in (kind, "")
            if fits and fault.point == point and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None


class Exchange:
    """One request or session at a vendor, on its way from connect to the end.

    `silent`: the connection stays open and says nothing more (a voice sends silence, a recogniser
    no text). `slow`: the vendor reads slowly from now on.
    """

    def __init__(self, faults: Faults, vendor: str, kind: str) -> None:
        self._faults = faults
        self.vendor = vendor
        self.kind = kind
        self.silent = False
        self.slow = False

    async def reach(self, point: Point) -> None:
        """Call it on the way. Raises `Refused`, `Dropped` or `Garbage`; waits for latency and
        stalls; sets `silent` and `slow`."""
        fault = self._faults.take(self.vendor, self.kind, point)
        if fault is None:
            return
        match fault.name:
            case "latency":
                await asyncio.sleep(fault.seconds)
            case "stall":
                await self.stay()
            case "silence":
                self.silent = True
            case "slow_reader":
                self.slow = True
            case "drop":
                raise Dropped
            case "garbage":
                raise Garbage
            case status:
                raise Refused(int(status))

    async def stay(self) -> None:
        """Keep an open connection that says nothing more, bounded. Raises `Dropped` at the end."""
        await asyncio.sleep(STALL_S)
        raise Dropped

    async def outputs(self, items: Sequence[T]) -> AsyncIterator[T]:
        """Hand `items` out one by one, reaching ``first`` before the first, ``middle`` before the
        one in the middle and ``end`` before the last. Errors as in `reach`."""
        for number, item in enumerate(items):
            if number == 0:
                await self.reach("first")
            if number == len(items) // 2:
                await self.reach("middle")
            if number == len(items) - 1:
                await self.reach("end")
            yield item
