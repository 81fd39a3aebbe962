"""The real server as a user starts it, and a phone to call it with.

`server` is shared by the tests that leave it as they found it; `start` gives a test one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from leaving import when_left
from serving import REPOSITORY, Desk, Dial, Server, Start

from telebot.phone.destination import Destination
from telebot.phone.exchange import secret_for
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech

if TYPE_CHECKING:
    from simulated import Simulated

# agents like those that ship, with less patience than a real one should have
VARIANTS = {
    "impatient": ("front-desk", {"silence_s": 2.0, "reprompts": 2}),
    "brief": ("front-desk", {"max_duration_s": 9.0}),
    "hasty": ("bench", {"silence_s": 1.0, "reprompts": 0}),  # models cost it nothing
}


@pytest.fixture(autouse=True)
async def in_real_time() -> None:
    """The caller's clock runs on the test's loop: what asyncio would note down of every step is
    time that a conversation does not have."""
    asyncio.get_running_loop().set_debug(False)


@pytest.fixture(scope="session")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A configuration file beside the agents that ship and the variants above."""
    folder = tmp_path_factory.mktemp("config")
    (folder / "agents").mkdir()
    for path in (REPOSITORY / "config" / "agents").glob("*.yaml"):
        (folder / "agents" / path.name).write_text(path.read_text())
    for name, (like, call) in VARIANTS.items():
        tree = yaml.safe_load((folder / "agents" / f"{like}.yaml").read_text())
        tree["agent"] = {**tree.get("agent", {}), "name": name}
        tree["call"] = {**tree.get("call", {}), **call}
        text = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
        (folder / "agents" / f"{name}.yaml").write_text(text)
    (folder / "numbers.yaml").write_text('numbers:\n  "*": front-desk\n')
    (folder / "telebot.yaml").write_text("server:\n  drain_s: 10\n")
    return folder / "telebot.yaml"


@pytest.fixture(scope="session")
def server(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for the whole run, or for each of the processes that share it."""
    with Server(tmp_path_factory.mktemp("data"), config) as one:
        when_left(lambda: one.__exit__(None, None, None))
        yield one


@pytest.fixture
def start(config: Path, tmp_path: Path) -> Iterator[Start]:
    """`start()` runs a server of the test's own; again, and it is the next one on the same data."""

    def started(http: str = "127.0.0.1:0", **environ: str) -> Server:
        return stack.enter_context(Server(tmp_path / "data", config, http, **environ))

    with ExitStack() as stack:
        yield started


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """`desk(environ, tts=…)`: a server of the test's own whose one agent, `desk`, is the front desk
    with these links; what is not named is this machine's."""
    from aside import desks

    def started(environ: Mapping[str, str], **links: Any) -> Server:
        return stack.enter_context(desks(tmp_path, environ, desk=links))

    with ExitStack() as stack:
        yield started


@pytest.fixture(scope="module")
def together(request: pytest.FixtureRequest) -> Iterator[Simulated]:
    """The vendors that the test's module names (`VENDORS`), simulated for all of its tests."""
    from aside import vendors_aside  # pulls in what most tests here do without

    with vendors_aside(*request.module.VENDORS) as running:
        yield running


@pytest.fixture
def vendors(together: Simulated) -> Iterator[Simulated]:
    """The same, well at the beginning of each test."""
    yield together
    together.fault()


@pytest.fixture(scope="session")
def speech() -> Iterator[LocalSpeech]:
    """The caller's voice and ears, loaded once."""
    one = LocalSpeech()
    asyncio.run(one.load())
    when_left(one.close)
    yield one
    one.close()


@pytest.fixture
def dial(speech: LocalSpeech) -> Dial:
    """`async with dial(server, agent=…) as phone`."""

    def dialled(server: Server, agent: str | None = None, carrier: str = "local") -> Phone:
        to = Destination(server.url, secret_for(server.url, carrier), carrier=carrier, agent=agent)
        return Phone(to, speech)

    return dialled
