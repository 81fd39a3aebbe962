"""Speech to speech as an agent's whole brain: spoken calls through the whole server, the vendors
being simulated on loopback, and what becomes of a call when a session fails.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from serving import REPOSITORY, Dial, Server
from simulated import Simulated, simulated

from telebot.providers.local_speech import LocalSpeech

pytestmark = pytest.mark.e2e

VENDORS = ("openai",)
QUESTION = "When are you open?"
ANSWER = "We are open from Tuesday to Sunday"


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


@pytest.fixture(scope="module")
def vendors() -> Iterator[Simulated]:
    """The vendors on a loop of their own: the phone's ears keep this one busy."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="vendors")
    thread.start()
    models = LocalSpeech()

    async def begin(stack: AsyncExitStack) -> Simulated:
        await models.load()
        return await stack.enter_async_context(simulated(models, VENDORS))

    stack = AsyncExitStack()
    yield asyncio.run_coroutine_threadsafe(begin(stack), loop).result(60)
    asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(20)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()
    models.close()


@pytest.fixture
def vendor(vendors: Simulated) -> Iterator[Simulated]:
    yield vendors
    vendors.fault()


@pytest.fixture
def serve(vendor: Simulated, tmp_path: Path) -> Iterator[Any]:
    """`serve(realtime)`: a server whose agent has these links before the local chain."""

    def started(realtime: Any) -> Server:
        (tmp_path / "agents").mkdir()
        tree = yaml.safe_load((REPOSITORY / "config/agents/front-desk.yaml").read_text())
        tree["agent"] = {**tree.get("agent", {}), "name": "talker"}
        tree["speech"] = {
            "realtime": realtime,
            "stt": "local",
            "llm": "dialog",
            "tts": "local",
            "prompt": "Answer in one or two sentences.",
        }
        (tmp_path / "agents/talker.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True))
        (tmp_path / "numbers.yaml").write_text('numbers:\n  "*": talker\n')
        (tmp_path / "telebot.yaml").write_text("server:\n  drain_s: 10\n")
        config = tmp_path / "telebot.yaml"
        return stack.enter_context(Server(tmp_path / "data", config, **vendor.environ))

    with ExitStack() as stack:
        yield started


def replies(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [turn for turn in record["turns"] if turn["caller_text"] is not None]


def events(record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    return [event for event in record["events"] if event["name"] == name]


@pytest.mark.parametrize("name", VENDORS)
async def test_a_call_is_answered_by_a_session_alone(serve: Any, dial: Dial, name: str) -> None:
    server = serve(name)
    async with dial(server) as phone:
        assert "kitchen" in (await phone.heard()).lower()
        first = await phone.say(QUESTION)
        assert "tuesday" in first.heard.lower()
        second = await phone.say("Where can I park my car?")
        assert "park" in second.heard.lower()
    record = await server.record(phone.to.call_sid)
    assert [("open" in replies(record)[0]["caller_text"].lower())] == [True], record["turns"]
    for turn in replies(record):
        assert turn["bot_text_heard"] == turn["bot_text"]
        assert all(by.startswith(name) for by in turn["providers"].values()), turn
        assert turn["latency_ms"]["heard"] < 3000
    used = {item["unit"] for item in record["cost"]["items"] if item["kind"] == "realtime"}
    assert used, record["cost"]
    print(record["cost"], [t["latency_ms"] for t in record["turns"]])
