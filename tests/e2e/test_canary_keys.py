"""Keys of vendors stand nowhere: not in the log (DEBUG), not in what a vendor's refusal says, not
in records, events, health, metrics, nor in any file of the data folder."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from serving import FOREIGN, TELEBOT, Server

from bench.failover_cases import KINDS, NAMED, WIRES, simulated, write_config
from telebot.phone.destination import Destination
from telebot.phone.exchange import secret_for
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech as Ears
from telebot.providers.local_speech import LocalSpeech
from telebot.simulate import cli
from telebot.simulate.faults import Fault
from telebot.simulate.registry import VENDORS, variables
from telebot.simulate.server import Simulator

pytestmark = pytest.mark.e2e

FAULTS = ("401@connect", "500@first", "garbage@middle")
BIRD = "canary-"
LAST = {"stt": "local", "llm": "scripted", "tts": "local"}  # the brain's sentences lie ready


def chains(environ: Mapping[str, Mapping[str, str]], last: Mapping[str, str]) -> dict[str, Any]:
    """Every vendor of each kind, and behind them what does not fail."""
    speech: dict[str, Any] = {"prompt": "You answer the phone of a restaurant."}
    for kind in KINDS:
        names = [name for name in simulated(kind) if WIRES.get(name, name) in environ]
        speech[kind] = [
            {
                "service": name,
                "base_url": environ[wire][f"{wire.upper()}_BASE_URL"],
                **NAMED.get((kind, name), {}),
            }
            for name, wire in ((name, WIRES.get(name, name)) for name in names)
        ] + [last[kind]]
    return {"speech": speech, "phrases": {"greeting": "Hello."}}


@asynccontextmanager
async def vendors(local: LocalSpeech) -> AsyncIterator[list[tuple[Simulator, cli.Simulation]]]:
    """All vendors, once for each fault; nothing fails yet."""
    async with AsyncExitStack() as stack:
        running = []
        for _ in FAULTS:
            sim = Simulator(local)
            there = cli.running(sim, "127.0.0.1", 0, VENDORS)
            running.append((sim, await stack.enter_async_context(there)))
        yield running


def keys(like: cli.Simulation, prefix: str) -> dict[str, str]:
    """The variables of every vendor with a key that is known again."""
    found: dict[str, str] = {}
    for vendor in like.environ:
        url = f"http://{like.http}"
        found |= variables(vendor, url, f"{prefix}{vendor}-5f3a91c7")
    found["GOOGLE_CLOUD_PROJECT"] = "a-project"  # no secret
    return found


async def talk(server: Server, ears: Ears, agent: str) -> str:
    """A call of one question; its id at the carrier."""
    to = Destination(server.url, secret_for(server.url, "local"), agent=agent)
    async with Phone(to, ears) as phone:
        await phone.listen()
        await phone.speak("Where can I park?")
        assert await phone.listen(60.0), server.tail()
    return to.call_sid


async def told(server: Server, data: Path, calls: list[str]) -> dict[str, bytes]:
    """Everything that the server says and writes."""
    found = {"log": "\n".join(server.log).encode()}
    for path in ("/health/ready", "/health/live", "/metrics"):
        async with aiohttp.ClientSession() as session, session.get(server.url + path) as answer:
            found[path] = await answer.read()
    for call_sid in calls:
        record = await server.record(call_sid)
        for path in ("", "/events"):
            found[f"{record['id']}{path}"] = await server.get_bytes(
                f"/v1/calls/{record['id']}{path}"
            )
    await asyncio.to_thread(server.terminate)
    await asyncio.to_thread(server.process.wait, 60)
    return found | await asyncio.to_thread(written, data)


def written(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file): file.read_bytes() for file in files}


def singing(found: Mapping[str, bytes]) -> dict[str, bytes]:
    """Where a key stands, with what is around it."""
    at = {name: text.find(BIRD.encode()) for name, text in found.items()}
    return {name: found[name][max(0, i - 200) : i + 60] for name, i in at.items() if i >= 0}


@pytest.mark.timeout(300)
async def test_of_vendors_that_fail(speech: Ears, tmp_path: Path) -> None:
    """Every vendor in turn, in one call for each fault."""
    async with LocalSpeech() as local, vendors(local) as running:
        agents = {
            f"agent-{number}": chains(simulation.environ, LAST)
            for number, (_, simulation) in enumerate(running)
        }
        config = write_config(tmp_path / "config", agents)
        async with serving(tmp_path / "data", config, keys(running[0][1], BIRD)) as server:
            for fault, (sim, _) in zip(FAULTS, running, strict=True):
                sim.faults.on = [Fault.parse(f"*={fault}")]
            calls = [await talk(server, speech, agent) for agent in agents]
            found = await told(server, tmp_path / "data", calls)
    of_calls = {WIRES.get(name, name) for kind in KINDS for name in simulated(kind)}
    for vendor in of_calls & running[0][1].environ.keys():
        assert vendor.encode() in found["log"], vendor
    assert singing(found) == {}


@pytest.mark.timeout(300)
async def test_of_vendors_that_refuse_them(speech: Ears, tmp_path: Path) -> None:
    """In the vendor's own words: at the start, and to `telebot doctor`."""
    async with LocalSpeech() as local, vendors(local) as running:
        simulation = running[0][1]
        config = write_config(tmp_path / "config", {"agent": chains(simulation.environ, LAST)})
        environ = keys(simulation, f"bad-{BIRD}")
        async with serving(tmp_path / "data", config, environ) as server:
            calls = [await talk(server, speech, "agent")]
            found = await told(server, tmp_path / "data", calls)
        found["doctor"] = await asyncio.to_thread(doctor, config, environ)
    assert found["log"].count(b"provider refused") > len(VENDORS)
    assert b"refuse" in found["doctor"]
    assert singing(found) == {}


@asynccontextmanager
async def serving(data: Path, config: Path, environ: Mapping[str, str]) -> AsyncIterator[Server]:
    """A server that logs all it can. Its start is in a thread: it asks vendors of this process."""
    server = Server(data, config, TELEBOT_LOG_LEVEL="DEBUG", **environ)
    try:
        yield await asyncio.to_thread(server.__enter__)
    finally:
        await asyncio.to_thread(server.kill)


def doctor(config: Path, environ: Mapping[str, str]) -> bytes:
    ours = {key: value for key, value in os.environ.items() if not FOREIGN.search(key)}
    done = subprocess.run(
        [str(TELEBOT), "doctor", "--config", str(config)],
        env={**ours, **environ},
        capture_output=True,
        check=False,
    )
    return done.stdout + done.stderr
