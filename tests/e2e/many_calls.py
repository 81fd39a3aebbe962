"""Calls in a row that end in every way, and what the server holds on to before and after them."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from serving import Dial, Server

from telebot.phone import turns
from telebot.phone.phone import Phone

SIDE_BY_SIDE = 4
POOLED = 8  # threads that pools may still start: connections to the database, asyncio's own
QUIET_TRIES = 150  # a fifth of a second each: until everything has come back
SETTLED_TRIES = 5  # that find the same
GAUGES = ("tasks", "conversations", "vad_slots", "calls", "stt_queue", "tts_queue")
AGENTS = ("hasty", "front-desk")  # of no cost, and with all its models
QUESTION = "What are your opening hours?"


@dataclass(frozen=True, slots=True)
class Holding:
    """What a server holds on to. `counted` is the same before and after: its own gauges, and what
    the system counts of its process. `threads` also grow with the pool of the database's
    connections, up to its size, which is why the files of the database are not counted.
    `rss_mb` is of the processes it has started, too."""

    counted: dict[str, float]
    threads: int
    rss_mb: float


async def holding(server: Server) -> Holding:
    """What it holds now."""
    async with (
        aiohttp.ClientSession(trust_env=False) as session,
        session.get(f"{server.url}/metrics") as response,
    ):
        text = await response.text()
    gauges: Counter[str] = Counter()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            gauges[sample.name.removeprefix("telebot_")] += sample.value
    pid = server.process.pid
    children = _children(pid)
    return Holding(
        {
            **{name: gauges[name] for name in GAUGES},
            "rows": gauges["records_waiting_rows"],
            "files": sum("/telebot.db" not in name for name in _files(pid)),
            "processes": len(children),
        },
        _status(pid, "Threads"),
        sum(_status(one, "VmRSS") for one in (pid, *children)) / 1024,
    )


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _files(pid: int) -> Iterator[str]:
    """Whatever it has open: files by their paths, sockets by their numbers."""
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            yield os.readlink(file)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


async def settled(server: Server) -> Holding:
    """What it holds once nothing comes or goes for a second: no connection that is just ending."""
    now, same = await holding(server), 0
    for _ in range(QUIET_TRIES):
        await asyncio.sleep(0.2)
        before, now = now, await holding(server)
        same = same + 1 if now.counted == before.counted else 0
        if same == SETTLED_TRIES:
            break
    return now


async def at_rest(server: Server, before: Holding) -> Holding:
    """What it holds once that is no more than before, or when it has had time enough."""
    now = await holding(server)
    for _ in range(QUIET_TRIES):
        if all(now.counted[name] <= count for name, count in before.counted.items()):
            break
        await asyncio.sleep(0.2)
        now = await holding(server)
    return now


async def greeted(phone: Phone) -> None:
    """Until the bot has said its greeting, whatever it says."""
    await phone.into_reply(0.0)
    await phone.line.until(lambda: turns.quiet_for(phone.stream) >= 8000 * 0.4, 10.0)


async def caller_stops(phone: Phone) -> set[str]:
    """In the middle of the greeting."""
    await phone.into_reply(0.5)
    await phone.hang_up()
    return {"caller_hangup"}


async def line_drops(phone: Phone) -> set[str]:
    """In the middle of the greeting, and there is no stop."""
    await phone.into_reply(0.5)
    await phone.drop()
    return {"stream_lost"}


async def bot_says_goodbye(phone: Phone) -> set[str]:
    """Because the caller does, or because the caller says nothing."""
    await greeted(phone)
    if phone.to.agent == "front-desk":
        await phone.speak("Goodbye")
    assert await phone.until_over(30), "the bot does not hang up"
    assert phone.line.ended_by == "bot"
    return {"bot_hangup"} if phone.to.agent == "front-desk" else {"silence"}


async def caller_stops_while_the_bot_thinks(phone: Phone) -> set[str]:
    """A tenth of a second after the last word."""
    await greeted(phone)
    await phone.speak(QUESTION)
    await phone.wait(0.1)
    await phone.hang_up()
    return {"caller_hangup"}


Way = Callable[[Phone], Awaitable[set[str]]]
WAYS: tuple[Way, ...] = (
    caller_stops,
    line_drops,
    bot_says_goodbye,
    caller_stops_while_the_bot_thinks,
)


async def call(server: Server, dial: Dial, number: int) -> None:
    """The call of this number, to its end and on record."""
    way = WAYS[number % len(WAYS)]
    async with dial(server, agent=AGENTS[number // len(WAYS) % len(AGENTS)]) as phone:
        reasons = await way(phone)
    record = await server.record(phone.to.call_sid)
    told = (number, way.__name__, phone.to.agent, record["termination"])
    assert record["termination"]["reason"] in reasons, told


async def calls(server: Server, dial: Dial, first: int, count: int) -> None:
    """`count` calls from number `first` on, a few at a time."""
    numbers = iter(range(first, first + count))

    async def line() -> None:
        for number in numbers:
            await call(server, dial, number)

    async with asyncio.TaskGroup() as lines:
        for _ in range(SIDE_BY_SIDE):
            lines.create_task(line())
