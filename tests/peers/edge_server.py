"""The HTTP edge on a loopback port, with a conversation that writes down what it was told."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web

from telebot import outgoing
from telebot.api import calls as calls_api
from telebot.api.control import ControlApi
from telebot.call.admission import Admission
from telebot.call.events import MediaWire
from telebot.call.model import Call, Note, Termination, Turn, WireEvent
from telebot.call.tokens import StreamTokens
from telebot.carriers.registry import Carriers
from telebot.records.keys import ApiKey, NoKey, Scope
from telebot.records.store import RecordsAway
from telebot.settings import load
from telebot.web.audiosocket import AudioSocketServer
from telebot.web.auth import Gate
from telebot.web.hangups import HangUps
from telebot.web.media_socket import SOCKETS
from telebot.web.metrics import Metrics
from telebot.web.runner import Runner
from telebot.web.server import Parts, build_app

ACCOUNT = "AC" + "0" * 31 + "1"
AUTH_TOKEN = "a token of the tests"
GREETING = b"\x11" * 800


class MemoryLog:
    """A `CallLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.endings: list[tuple[Call, Termination]] = []
        self.events: list[WireEvent] = []

    def opened(self, call: Call) -> None:
        self.calls.append(call)

    def dialled(self, call: Call) -> None:
        pass

    def answered(self, call: Call) -> None:
        pass

    def state(self, call: Call) -> None:
        pass

    def turn(self, call: Call, turn: Turn) -> None:
        pass

    def used(self, call: Call, usage: Any) -> None:
        pass

    def note(self, call: Call, note: Note) -> None:
        pass

    def event(self, call: Call, event: WireEvent) -> None:
        self.events.append(event)

    def closed(self, call: Call, termination: Termination) -> None:
        self.endings.append((call, termination))

    def reasons(self) -> list[str]:
        return [termination.reason for _, termination in self.endings]


@dataclass
class Heard:
    """One call's `MediaSink`; raises where a test says so."""

    conversations: Listeners
    call: Call
    wire: MediaWire
    frames: list[tuple[bytes, int]] = field(default_factory=list)
    digits: list[str] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    over: str = ""

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        self.frames.append((ulaw, timestamp_ms))
        if self.conversations.fails == "audio":
            raise RuntimeError("our own code is broken")
        if self.conversations.fails == "hang":
            await asyncio.Event().wait()

    async def digit(self, digit: str) -> None:
        self.digits.append(digit)
        if digit == "#":
            await self.wire.close()
        if digit == "*":
            self.wire.send_clear()

    async def played(self, mark: str) -> None:
        self.marks.append(mark)

    async def ended(self, reason: str) -> None:
        self.over = reason
        if self.conversations.fails == "ended":
            raise RuntimeError("our own code is broken")


class Listeners:
    """`Conversations` that greet and then listen."""

    def __init__(self) -> None:
        self.all: list[Heard] = []
        self.fails = ""

    async def start(self, call: Call, wire: MediaWire) -> Heard:
        if self.fails == "start":
            raise RuntimeError("our own code is broken")
        heard = Heard(self, call, wire)
        self.all.append(heard)
        wire.send_audio(GREETING)
        wire.send_mark("greeting")
        return heard


@dataclass
class Edge:
    """A running edge, and what stands behind it."""

    url: str
    log: MemoryLog
    listeners: Listeners
    admission: Admission
    metrics: Metrics
    carriers: Carriers
    app: web.Application
    audiosocket: str = ""

    async def until(self, condition: Any) -> None:
        """Give the server its turns until `condition()`; fails after half a minute."""
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110  # any condition, of either side
                await asyncio.sleep(0.002)

    def heard(self) -> bool:
        """The newest call's audio arrives."""
        return bool(self.listeners.all and self.listeners.all[-1].frames)

    def junk(self) -> dict[str, float]:
        """Meaningless messages by kind."""
        return {
            sample.labels["kind"]: sample.value
            for family in self.metrics.junk.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def close_codes(self) -> dict[str, float]:
        """Ended sockets by close code."""
        return {
            sample.labels["code"]: sample.value
            for family in self.metrics.sockets.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }


@dataclass
class OneKey:
    """A `KeyStore` that is not in a database; `away` is one that does not answer."""

    secret: str
    away: bool = False
    asked: int = 0

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        self.asked += 1
        if self.away:
            raise RecordsAway("OperationalError")
        if secret != self.secret:
            raise NoKey("unknown key")
        return ApiKey("id", "tests", Scope.OPERATOR, "created", datetime.now(UTC), None, None)


@asynccontextmanager
async def edge(
    data: Path,
    *,
    environ: Mapping[str, str] | None = None,
    max_calls: int = 10,
    shutdown_s: float = 5,
    most_connections: int = 1000,
    **overrides: Any,
) -> AsyncIterator[Edge]:
    """A server on a free port; `overrides` are settings with `__` for the dot."""
    environ = {"TWILIO_ACCOUNT_SID": ACCOUNT, "TWILIO_AUTH_TOKEN": AUTH_TOKEN, **(environ or {})}
    settings = load(
        environ=environ,
        overrides={
            "server.data": str(data),
            **{name.replace("__", "."): value for name, value in overrides.items()},
        },
    )
    log, listeners, metrics = MemoryLog(), Listeners(), Metrics()
    ids = itertools.count(1)
    admission = Admission(
        log=metrics.metered(log),
        tokens=StreamTokens("k" * 32, settings.security.token_life_s, lambda: datetime.now(UTC)),
        numbers={"*": "front-desk"},
        agents=frozenset({"front-desk", "echo"}),
        max_calls=max_calls,
        clock=time.monotonic,
        wall_clock=lambda: datetime.now(UTC),
        new_id=lambda: f"id{next(ids)}",
    )
    carriers = Carriers(settings)
    gate = Gate(OneKey("secret-key"), frozenset({"/v1/open"}))
    hang_ups = HangUps(metrics)
    parts = Parts(settings, admission, carriers, listeners, gate, hang_ups, metrics)
    app = build_app(parts)
    written = lambda: asyncio.sleep(0)  # noqa: E731
    control = ControlApi(outgoing.dialling(parts), written, time.monotonic, gate.who)
    nobody: Any = SimpleNamespace(live={})  # `Listeners` hold no conversations
    steering = outgoing.steering(parts, nobody, app[SOCKETS])
    calls_api.setup(app, gate.authorize, control, steering)
    runner = Runner(app, most=most_connections, access_log=None, shutdown_timeout=shutdown_s)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    tcp = AudioSocketServer("127.0.0.1:0", carriers.get("audiosocket"), app[SOCKETS], asked=True)
    await tcp.open()
    url = f"http://127.0.0.1:{port}"
    try:
        yield Edge(url, log, listeners, admission, metrics, carriers, app, tcp.address)
    finally:
        await tcp.close()
        await runner.cleanup()
