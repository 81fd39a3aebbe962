"""`telebot simulate` as a user rehearses with it: vendors by name, a call, faults on command; an
agent that masks its waits and asks its model once."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from serving import FOREIGN, REPOSITORY, TELEBOT, Server

from telebot.phone.destination import Destination
from telebot.phone.exchange import secret_for
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.peers

WITHIN_S = 120.0  # this machine may be busy; nobody waits for it here
VENDORS = ("deepgram", "openai", "elevenlabs")
SPEECH = {
    "stt": ["deepgram", "local"],
    "llm": ["openai", "dialog"],
    "tts": ["elevenlabs", "local"],
    "prompt": "You answer the phone of a restaurant, in one or two short sentences.",
}
FILLER = "One moment please, I will look that up for you."  # longer than the wait
AGENTS = {
    "test": {"speech": SPEECH, "phrases": {"greeting": "Hello, this is the restaurant."}},
    "masking": {
        "speech": {
            **SPEECH,
            "llm": [{"service": "openai", "first_s": 10}, "dialog"],
            "filler_s": 0.5,
            "reuse_replies": True,
        },
        "phrases": {
            "greeting": "Hello, this is the restaurant. You can park here.",
            "fillers": [FILLER],
        },
    },
}
PARKING = "There is a free car park behind the building. "
LANE = "You reach it by the small lane on the left side."


class Simulator:
    """A `telebot simulate` on a port of its own."""

    def __init__(self, *words: str) -> None:
        ours = {key: value for key, value in os.environ.items() if not FOREIGN.search(key)}
        self.process = subprocess.Popen(
            [str(TELEBOT), "simulate", "--listen", "127.0.0.1:0", *words],
            cwd=REPOSITORY,
            env=ours,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        assert self.process.stderr
        first = self.process.stdout.readline()
        ready = re.fullmatch(r"ready http=(127\.0\.0\.1:\d+)\n", first)
        assert ready, (first, self.process.kill(), self.process.stderr.read())
        self.url = f"http://{ready[1]}"
        self.complaints: list[str] = []
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr
        with self.process.stderr as lines:
            self.complaints += lines

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        status = self.process.wait(WITHIN_S)
        self._reading.join(WITHIN_S)
        assert self.process.stdout
        self.process.stdout.close()
        return status

    async def fault(self, *texts: str) -> list[str]:
        """Command these and no others; what is listed then."""
        async with aiohttp.ClientSession() as session:
            async with session.post(f"{self.url}/faults", json=texts) as answer:
                assert answer.status == 200, await answer.text()
            async with session.get(f"{self.url}/faults") as answer:
                return await answer.json()


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Path]]:
    """One for all of them, and the file of its variables."""
    file = tmp_path_factory.mktemp("vendors") / "vendors.env"
    words = [word for vendor in VENDORS for word in ("--vendor", vendor)]
    running = Simulator(*words, "--env", str(file))
    try:
        yield running, file
        assert running.stop() == 0
        assert running.complaints == []
    finally:
        running.process.kill()


@pytest.fixture
async def simulator(together: tuple[Simulator, Path]) -> AsyncIterator[Simulator]:
    """In which nothing fails yet, and which prints nothing."""
    one, _ = together
    yield one
    assert await one.fault() == []
    assert one.complaints == []


def exported(file: Path) -> dict[str, str]:
    """The variables that a shell has when it has read the file."""
    command = f'. "{file}" && env'
    said = subprocess.run(["sh", "-c", command], env={}, capture_output=True, text=True, check=True)
    found = dict(line.split("=", 1) for line in said.stdout.splitlines())
    return {name: value for name, value in found.items() if FOREIGN.search(name) or "_URL" in name}


@pytest.fixture(scope="module")
def server(
    together: tuple[Simulator, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that was pointed at the simulator by its file, and nothing else."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "agents").mkdir()
    for name, tree in AGENTS.items():
        (folder / "agents" / f"{name}.yaml").write_text(yaml.safe_dump(tree))
    (folder / "numbers.yaml").write_text('numbers:\n  "*": test\n')
    (folder / "telebot.yaml").write_text("server:\n  drain_s: 0\n")
    environ = exported(together[1])
    assert sorted(environ) == sorted(
        f"{vendor.upper()}_{name}" for vendor in VENDORS for name in ("API_KEY", "BASE_URL")
    )
    with Server(folder / "data", folder / "telebot.yaml", **environ) as running:
        yield running


@pytest.fixture(scope="module")
def caller() -> Iterator[LocalSpeech]:
    """A voice, and ears."""
    one = LocalSpeech()
    yield one
    one.close()


async def call(server: Server, caller: LocalSpeech, agent: str = "test") -> str:
    """A call in which one question is asked; the answer as it was heard."""
    asyncio.get_running_loop().set_debug(False)  # the caller lives in real time
    await caller.load()
    to = Destination(server.url, secret_for(server.url, "local"), agent=agent)
    async with Phone(to, caller) as phone:
        await phone.listen()
        await phone.speak("Where can I park?")
        await phone.listen()
    await phone.understand()  # when nobody waits for it
    return phone.turns[-1].heard


async def last_call(server: Server) -> dict[str, Any]:
    """The record of the newest call."""
    rows = (await server.get("/v1/calls?limit=1"))["data"]
    return await server.record(rows[0]["carrier_call_id"])


async def failovers(server: Server, record: dict[str, Any]) -> list[tuple[str, str]]:
    events = (await server.get(f"/v1/calls/{record['id']}/events"))["data"]
    told = [event["fields"] for event in events if event["name"] == "failover"]
    return [(each["kind"], each["provider"].partition("/")[0]) for each in told]


def served(turn: dict[str, Any]) -> dict[str, str]:
    """Vendors of a turn, by kind."""
    return {kind: name.partition("/")[0] for kind, name in turn["providers"].items()}


async def test_a_slow_answer_is_masked_and_given_again(
    simulator: Simulator, server: Server, caller: LocalSpeech
) -> None:
    await simulator.fault("openai.llm=latency:1.5@first x1")
    await call(server, caller, "masking")
    record = await last_call(server)
    turn = record["turns"][1]
    assert turn["bot_text_heard"] == f"{FILLER} {PARKING}{LANE}"
    assert turn["providers"]["llm"].startswith("openai")

    await simulator.fault("openai.llm=500")  # nobody asks it
    await call(server, caller, "masking")
    record = await last_call(server)
    turn = record["turns"][1]
    assert turn["bot_text_heard"] == PARKING + LANE
    assert turn["providers"]["llm"].startswith("openai")
    spent = [item for item in record["cost"]["items"] if item["kind"] == "llm"]
    assert [(item["quantity"], item["unit"]) for item in spent] == [(0.0, "tokens_out")]


async def test_a_configuration_is_rehearsed(
    simulator: Simulator, server: Server, caller: LocalSpeech
) -> None:
    """The vendors that an agent names serve its call; with all three cut in mid-work, the next
    call is served to its end by what stands behind them, and the caller hears no word twice."""
    assert "car park" in (await call(server, caller)).lower()
    record = await last_call(server)
    [_, turn] = record["turns"]
    assert served(turn) == {"stt": "deepgram", "llm": "openai", "tts": "elevenlabs"}
    assert turn["bot_text_heard"] == PARKING + LANE
    used = {(each["kind"], each["unit"]) for each in record["cost"]["items"]}
    assert {("stt", "s"), ("llm", "tokens_in"), ("llm", "tokens_out")} <= used
    assert await failovers(server, record) == []

    faults = ["deepgram.stt=drop@middle", "openai.llm=drop@end x1", "elevenlabs.tts=drop@middle x1"]
    assert await simulator.fault(*faults) == [
        "deepgram.stt=drop@middle",
        "openai.llm=drop@end x1",
        "elevenlabs.tts=drop@middle x1",
    ]
    await call(server, caller)
    record = await last_call(server)
    assert record["termination"]["reason"] == "caller_hangup"
    [_, turn] = record["turns"]
    assert served(turn) == {"stt": "local", "llm": "openai", "tts": "local"}
    # the model's second sentence broke off, and was not begun; the brain adds nothing to the first
    assert turn["bot_text_heard"] == turn["bot_text"] == PARKING.strip()
    assert {("stt", "deepgram"), ("llm", "openai"), ("tts", "elevenlabs")} <= set(
        await failovers(server, record)
    )


async def test_a_fault_that_makes_no_sense(simulator: Simulator, http: Any) -> None:
    assert await simulator.fault("openai=500") == ["openai=500@connect"]
    for nonsense in (["openai=6000"], ["hal=500"], "openai=500", {"a": 1}, 7, None):
        async with http.post(f"{simulator.url}/faults", json=nonsense) as answer:
            assert answer.status == 400
            assert (await answer.json())["error"]
    assert await simulator.fault() == []


async def test_a_connection_cut_on_command_is_no_fault_of_ours(
    simulator: Simulator, http: Any
) -> None:
    """And nothing is printed, as the fixture asserts."""
    await simulator.fault("openai=drop", "deepgram=drop@connect")
    body = {"model": "gpt-6-luna", "messages": [{"role": "user", "content": "Hello"}]}
    headers = {"Authorization": "Bearer simulated"}
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.post(f"{simulator.url}/openai/v1/chat/completions", json=body, headers=headers)
    with pytest.raises(aiohttp.ServerDisconnectedError):
        await http.ws_connect(f"{simulator.url}/deepgram/v1/listen", headers=headers)


def test_control_c_ends_it() -> None:
    simulator = Simulator("--vendor", "groq")
    try:
        assert simulator.stop(signal.SIGINT) == 0
        assert simulator.complaints == []
    finally:
        simulator.process.kill()


def test_a_port_that_is_taken(simulator: Simulator) -> None:
    address = simulator.url.removeprefix("http://")
    done = subprocess.run(
        [str(TELEBOT), "simulate", "--vendor", "groq", "--listen", address],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"telebot simulate: {address}: address already in use; name another address by --listen\n"
    )
