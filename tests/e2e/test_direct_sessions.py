"""Sessions in mode `direct`: speech to speech by a vendor (simulated) through this server, in the
records as any call; what becomes of one whose vendor fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from serving import Desk, Server
from session_client import SessionClient
from simulated import Simulated

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e

VENDORS = ("openai", "gemini", "elevenlabs")


@pytest.fixture
def server(vendors: Simulated, desk: Desk) -> Server:
    return desk(vendors.environ)


def client(server: Server, speech: LocalSpeech, **options: Any) -> SessionClient:
    return SessionClient(server.url, speech, key=server.key, mode="direct", **options)


async def test_a_vendor_hears_and_answers_at_the_full_band(
    server: Server, speech: LocalSpeech
) -> None:
    async with client(server, speech, rate=24_000, model="openai") as session:
        ready = await session.of("ready")
        assert ready["mode"] == "direct"
        assert ready["providers"] == {"realtime": "openai/gpt-realtime-2.1"}
        await session.say("When are you open?")
        turn = await session.of("turn")
        assert "open" in turn["text"].lower()
        assert "tuesday" in turn["reply"].lower()
        assert turn["latency_ms"]["heard"] < 5000
        assert "tuesday" in (await session.words()).lower()
        assert {use["kind"] for use in turn["usage"]} >= {"realtime"}
        assert 0 < session.ahead_s <= 1.0
        # a typed turn, spoken over
        since = len(session.messages)
        await session.ask("text", text="Tell me your opening hours, please.")
        await session.of("state", since, state="speaking")
        await asyncio.sleep(0.8)
        over = len(session.messages)
        await session.say("Where can I park my car?")
        await session.of("clear", over)
        cut = await session.of("turn", over)
        assert cut["interrupted"]
        assert len(cut["reply"]) < len(turn["reply"])
        answer = await session.until(lambda m: m["type"] == "turn" and not m["interrupted"], over)
        assert "park" in answer["text"].lower()
        assert "park" in answer["reply"].lower()
        refused = await session.ask("setProvider", provider={"tts": "local"})
        assert (refused["type"], refused["code"]) == ("error", "unable")
        await session.send(type="end")
        assert (await session.of("ended"))["reason"] == "caller_hangup"
        assert await session.until_closed() == 1000
    record = await server.record(ready["session"])
    assert record["carrier"] == "realtime"
    assert record["termination"]["reason"] == "caller_hangup"
    assert [t["interrupted"] for t in record["turns"]] == [False, True, False]
    assert {item["kind"] for item in record["cost"]["items"]} >= {"realtime", "stt"}
    assert record["cost"]["total"] is not None, str(record["cost"])
    sound = await server.get_bytes(f"/v1/calls/{record['id']}/recording")
    assert len(sound) > 8000 * 4 * 5


async def test_a_vendor_that_fails_is_replaced(
    server: Server, vendors: Simulated, speech: LocalSpeech
) -> None:
    # before anything was said: the chain goes on
    vendors.fault("openai.realtime=500@connect")
    vendors.sim.faults.on *= 4
    wished = {"realtime": "openai", "only": ["openai", "local", "dialog"]}
    async with client(server, speech, provider=wished) as session:
        ready = await session.of("ready")
        assert ready["mode"] == "chain"
        told = [m for m in session.messages if m["type"] == "failover"]
        assert [(m["kind"], m["cause"]) for m in told] == [("realtime", "server")]
        assert "kitchen" in (await session.of("turn", turn=0))["reply"].lower()
        await session.send(type="end")
        await session.until_closed()
    # nobody else may: it ends with the reason
    vendors.fault("openai.realtime=500@connect")
    vendors.sim.faults.on *= 4
    wished = {"realtime": "openai", "allow_fallbacks": False}
    async with client(server, speech, provider=wished) as session:
        assert await session.until_closed() == 4400
        codes = [m["code"] for m in session.messages if m["type"] == "error"]
        assert codes == ["no_provider"]


async def test_one_that_breaks_off_is_opened_again_and_told_what_was_said(
    server: Server, vendors: Simulated, speech: LocalSpeech
) -> None:
    async with client(server, speech, model="openai/gpt-realtime-2.1") as session:
        await session.of("ready")
        await session.ask("text", text="When are you open?")
        first = await session.of("turn")
        assert "tuesday" in first["reply"].lower()
        vendors.fault("openai.realtime=drop@middle")
        since = len(session.messages)
        await session.ask("text", text="Where can I park my car?")
        told = await session.of("failover", since)
        assert (told["kind"], told["provider"]) == ("realtime", "openai/gpt-realtime-2.1")
        vendors.fault()
        since = len(session.messages)
        await session.ask("text", text="What is your address?")
        turn = await session.until(
            lambda m: m["type"] == "turn" and m["text"] == "What is your address?", since
        )
        assert turn["reply"]
        assert not turn["interrupted"]
        done = await session.ask("setLanguage", language="de-DE")
        assert (done["type"], done["language"]) == ("ok", "de-DE")
        assert (await session.ask("reset"))["type"] == "ok"
        # nobody can be reached any more: it ends, and says why
        vendors.fault("openai.realtime=500@connect", "openai.realtime=drop@first")
        vendors.sim.faults.on *= 5
        await session.ask("text", text="Hello?")
        assert (await session.of("ended"))["reason"] == "server_error"
        assert await session.until_closed() == 1011


async def test_another_vendor_hears_and_answers_too(server: Server, speech: LocalSpeech) -> None:
    async with client(server, speech, rate=48_000, model="gemini") as session:
        ready = await session.of("ready")
        assert ready["providers"]["realtime"].startswith("gemini/")
        await session.say("When are you open?")
        turn = await session.of("turn")
        assert "open" in turn["text"].lower()
        assert "tuesday" in turn["reply"].lower()
        assert "tuesday" in (await session.words()).lower()
        since = len(session.messages)
        await session.ask("text", text="Tell me your opening hours, please.")
        await session.of("state", since, state="speaking")
        over = len(session.messages)
        await session.say("Where can I park my car?")
        await session.of("clear", over)
        answer = await session.until(lambda m: m["type"] == "turn" and not m["interrupted"], over)
        assert "park" in answer["reply"].lower()
        # from one vendor to the other, which is told what was said
        done = await session.ask("setProvider", provider={"realtime": "openai"})
        assert done["providers"]["realtime"].startswith("openai/"), done
        since = len(session.messages)
        await session.ask("text", text="What is your address?")
        turn = await session.of("turn", since)
        assert turn["providers"]["llm"].startswith("openai/")


async def test_an_agent_of_a_vendors_console_greets_and_answers(
    server: Server, speech: LocalSpeech
) -> None:
    async with client(server, speech, rate=24_000, model="elevenlabs/agent_studio") as session:
        ready = await session.of("ready")
        assert ready["providers"] == {"realtime": "elevenlabs/agent_studio"}
        greeting = await session.of("turn")
        assert (greeting["text"], "help" in greeting["reply"]) == (None, True)
        since = len(session.messages)
        await session.say("When are you open?")
        turn = await session.of("turn", since)
        assert "open" in turn["text"].lower()
        assert "tuesday" in turn["reply"].lower()
        assert "tuesday" in (await session.words()).lower()
        # a typed turn, spoken over
        since = len(session.messages)
        await session.ask("text", text="Tell me your opening hours, please.")
        await session.of("state", since, state="speaking")
        over = len(session.messages)
        await session.say("Where can I park my car?")
        await session.of("clear", over)
        answer = await session.until(lambda m: m["type"] == "turn" and not m["interrupted"], over)
        assert "park" in answer["reply"].lower()
        # to another vendor, which is told what was said
        done = await session.ask("setProvider", provider={"realtime": "openai"})
        assert done["providers"]["realtime"].startswith("openai/"), done
        await session.send(type="end")
        await session.until_closed()
    record = await server.record(ready["session"])
    items = {item["provider"]: item for item in record["cost"]["items"]}
    assert items["elevenlabs/agent_studio"]["unit"] == "s"
    assert items["elevenlabs/agent_studio"]["quantity"] > 1
