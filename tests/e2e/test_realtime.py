"""Speech to speech as an agent's whole brain: spoken calls through the whole server, the vendors
being simulated on loopback, and what becomes of a call when a session fails.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from serving import Desk, Dial, Server
from simulated import Simulated

pytestmark = pytest.mark.soak

VENDORS = ("openai", "gemini", "elevenlabs")
LINKS: dict[str, Any] = {"elevenlabs": {"service": "elevenlabs", "agent": "agent_phone"}}
QUESTION = "When are you open?"
ANSWER = (
    "We are open from Tuesday to Sunday, from noon until ten at night. "
    "On Mondays we are closed, and the kitchen rests as well."
)


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


@pytest.fixture
def vendor(vendors: Simulated) -> Simulated:
    return vendors


@pytest.fixture
def serve(vendor: Simulated, desk: Desk) -> Any:
    """`serve(realtime)`: a server whose agent has these links before the local chain."""

    def started(realtime: Any) -> Server:
        prompt = "Answer in one or two sentences."
        return desk(vendor.environ, realtime=realtime, prompt=prompt)

    return started


def replies(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [turn for turn in record["turns"] if turn["caller_text"] is not None]


async def events(server: Server, record: dict[str, Any], name: str) -> list[dict[str, Any]]:
    told = (await server.get(f"/v1/calls/{record['id']}/events?limit=500"))["data"]
    return [event for event in told if event["name"] == name]


@pytest.mark.parametrize("name", VENDORS)
async def test_a_call_is_answered_by_a_session_alone(serve: Any, dial: Dial, name: str) -> None:
    server = serve(LINKS.get(name, name))
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


@pytest.mark.parametrize("name", VENDORS)
async def test_an_interruption_stops_it_and_is_answered(serve: Any, dial: Dial, name: str) -> None:
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        turn = await phone.interrupt("Where can I park my car?", after_s=1.5)
    record = await server.record(phone.to.call_sid)
    assert turn.interrupted_by == "caller", record["turns"]
    assert "park" in turn.heard.lower()
    cut, answer = replies(record)
    assert cut["interrupted"]
    assert 0 < len(cut["bot_text_heard"]) < len(cut["bot_text"])
    assert cut["bot_text"].startswith(cut["bot_text_heard"])
    ear = words(phone.turns[1].heard)
    assert abs(len(ear) - len(words(cut["bot_text_heard"]))) <= 2
    assert answer["providers"]["llm"].startswith(name)
    assert not await events(server, record, "failover")


@pytest.mark.parametrize("name", [name for name in VENDORS if name != "elevenlabs"])
async def test_a_nod_is_no_interruption(serve: Any, dial: Dial, name: str) -> None:
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        turn = await phone.interrupt("Mm-hmm.", after_s=1.2)
        after = await phone.say("Where can I park my car?")
    record = await server.record(phone.to.call_sid)
    assert turn.went_on, record["turns"]
    said, answer = replies(record)
    assert not said["interrupted"]
    assert said["bot_text_heard"] == said["bot_text"]
    assert "park" in after.heard.lower()
    assert answer["providers"]["llm"].startswith(name)


@pytest.mark.parametrize("name", VENDORS)
async def test_a_word_is_enough_to_interrupt(serve: Any, dial: Dial, name: str) -> None:
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        await phone.interrupt("Please stop.", after_s=1.2)
    record = await server.record(phone.to.call_sid)
    assert replies(record)[0]["interrupted"], record["turns"]


@pytest.mark.parametrize("name", VENDORS)
async def test_the_bots_goodbye_ends_the_call(serve: Any, dial: Dial, name: str) -> None:
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        turn = await phone.say("That is all, bye bye.")
        assert "calling" in turn.heard.lower()
        await phone.wait(3)
        assert phone.over
    record = await server.record(phone.to.call_sid)
    assert record["termination"]["reason"] == "bot_hangup"


@pytest.mark.parametrize("name", VENDORS)
async def test_a_reply_that_breaks_off_is_finished_by_the_usual_chain(
    serve: Any, dial: Dial, vendor: Simulated, name: str
) -> None:
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        vendor.fault(f"{name}.realtime=drop@middle")
        turn = await phone.say(QUESTION)
        after = await phone.say("Where can I park my car?")
    record = await server.record(phone.to.call_sid)
    # a beginning said twice is more than the phone's own recogniser can hear
    assert "tuesday" in replies(record)[0]["bot_text_heard"].lower(), record["turns"]
    assert turn.answered
    assert "park" in after.heard.lower(), record["turns"]
    (failed,) = await events(server, record, "failover")
    assert failed["fields"]["kind"] == "realtime"
    local = {"stt": "local", "llm": "dialog", "tts": "local"}
    assert replies(record)[-1]["providers"] == local, (record["turns"], server.tail())


async def test_the_next_session_goes_on_behind_the_last_whole_word(
    serve: Any, dial: Dial, vendor: Simulated
) -> None:
    server = serve(["openai", {"service": "openai", "model": "gpt-realtime-2.1-mini"}])
    async with dial(server) as phone:
        await phone.heard()
        vendor.fault("openai.realtime=drop@middle x1")
        turn = await phone.say(QUESTION)
        after = await phone.say("Where can I park my car?")
    record = await server.record(phone.to.call_sid)
    first, second = replies(record)
    assert len(await events(server, record, "failover")) == 1
    said, heard = words(ANSWER), words(turn.heard)
    assert len([word for word in said if word not in heard]) <= 1, (turn.heard, first)
    assert abs(len(heard) - len(said)) <= 3, (turn.heard, first)
    assert abs(len(words(first["bot_text"])) - len(said)) <= 1, first
    assert "park" in after.heard.lower()
    assert second["providers"]["llm"] == "openai/gpt-realtime-2.1-mini"
    assert record["turns"][0]["providers"] == {"stt": None, "llm": None, "tts": "local"}


@pytest.mark.parametrize("name", VENDORS)
@pytest.mark.parametrize("point", ["connect", "first"])
async def test_a_session_that_falls_silent_is_replaced(
    serve: Any, dial: Dial, vendor: Simulated, name: str, point: str
) -> None:
    server = serve(LINKS.get(name, name))
    if point == "connect":
        vendor.fault(f"{name}.realtime=silence")
    async with dial(server) as phone:
        await phone.heard()
        vendor.fault(f"{name}.realtime=silence@{point}")
        turn = await phone.say(QUESTION)
        assert "tuesday" in turn.heard.lower()
    record = await server.record(phone.to.call_sid)
    assert len(await events(server, record, "failover")) == 1
    (reply,) = replies(record)
    assert reply["providers"]["llm"] == "dialog"
    assert reply["latency_ms"]["heard"] < 5000


@pytest.mark.parametrize("name", VENDORS)
async def test_a_key_that_is_refused_is_found_before_the_first_call(
    serve: Any, dial: Dial, vendor: Simulated, name: str
) -> None:
    vendor.fault(f"{name}.realtime=401")
    server = serve(LINKS.get(name, name))
    async with dial(server) as phone:
        await phone.heard()
        turn = await phone.say(QUESTION)
        assert "tuesday" in turn.heard.lower()
    failed = await events(server, await server.record(phone.to.call_sid), "failover")
    assert [event["fields"]["cause"] for event in failed] == ["refused"]
