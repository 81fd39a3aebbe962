"""Conversations over `WS /v1/voice/realtime`: spoken, interrupted, changed in mid-session; the
record of each as of any call."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest
from serving import Server
from session_client import SessionClient

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.e2e


def client(server: Server, speech: LocalSpeech, **options: Any) -> SessionClient:
    return SessionClient(server.url, speech, key=server.key, **options)


async def test_a_spoken_session_is_a_call(server: Server, speech: LocalSpeech) -> None:
    async with client(server, speech, rate=24_000, agent="front-desk") as session:
        ready = await session.of("ready")
        assert ready["mode"] == "chain"
        assert ready["providers"] == {"stt": "local", "llm": "dialog", "tts": "local"}
        greeting = await session.of("turn", turn=0)
        assert greeting["text"] is None
        assert "kitchen" in (await session.words()).lower()
        await session.say("When are you open?")
        asked = await session.of("transcript")
        assert "open" in asked["text"].lower()
        reply = await session.of("reply", turn=asked["turn"], final=True)
        assert "tuesday" in reply["text"].lower()
        assert "tuesday" in (await session.words()).lower()
        turn = await session.of("turn", turn=asked["turn"])
        assert turn["interrupted"] is False
        assert turn["latency_ms"]["heard"] < 3000
        assert turn["providers"]["llm"] == "dialog"
        grown = [m["text"] for m in session.messages if m["type"] == "reply"]
        assert len(grown) > 1
        states = [m["state"] for m in session.messages if m["type"] == "state"]
        assert states[:4] == ["speaking", "listening", "thinking", "speaking"]
        assert 0 < session.ahead_s <= 1.0
        await session.send(type="end")
        assert (await session.of("ended"))["reason"] == "caller_hangup"
        assert await session.until_closed() == 1000
    record = await server.record(ready["session"])
    assert record["id"] == ready["call"]
    assert record["carrier"] == "realtime"
    assert record["termination"] == {"result": "completed", "reason": "caller_hangup"}
    assert [t["bot_text_heard"] for t in record["turns"]] == [
        m["text"] for m in session.messages if m["type"] == "reply" and m["final"]
    ]


async def test_speaking_over_the_bot_clears_what_it_said(
    server: Server, speech: LocalSpeech
) -> None:
    async with client(server, speech, agent="front-desk") as session:
        await session.of("turn", turn=0)
        await session.ask("text", text="What are your opening hours, and where can I park?")
        await session.of("state", state="speaking", since=4)
        await asyncio.sleep(1.0)
        since = len(session.messages)
        await session.say("Please, tell me your address.")
        await session.of("clear", since)
        turn = await session.of("turn", since)
        assert turn["interrupted"] is True
        asked = await session.of("transcript", since)
        assert "address" in asked["text"].lower()
        answer = await session.of("reply", since, turn=asked["turn"], final=True)
        assert "twelve harbour street" in answer["text"].lower().replace("12", "twelve")


async def test_what_a_client_may_ask_for(server: Server, speech: LocalSpeech) -> None:
    async with client(server, speech, agent="front-desk", rate=8000) as session:
        await session.of("turn", turn=0)
        assert (await session.ask("ping"))["type"] == "pong"
        # a form is begun, then forgotten
        await session.ask("text", text="I would like to book a table for four people")
        first = await session.of("turn", turn=1)
        assert "day" in first["reply"].lower()
        since = len(session.messages)
        assert (await session.ask("reset"))["of"] == "reset"
        greeting = await session.of("turn", since)
        assert "harbour street kitchen" in greeting["reply"].lower()
        since = len(session.messages)
        await session.ask("text", text="On Saturday evening")
        reply = await session.of("turn", since)
        assert "name" not in reply["reply"].lower(), "it went on with the form"
        # what cannot be done is said, and nothing is lost
        refused = await session.ask("setLanguage", language="de-DE")
        assert (refused["type"], refused["code"]) == ("error", "no_provider")
        assert "de-DE" in refused["message"]
        wrong = await session.ask("setProvider", provider={"stt": "nobody"})
        assert (wrong["type"], wrong["code"]) == ("error", "no_provider")
        # the microphone goes off in mid-sentence
        session.microphone = False
        since = len(session.messages)
        await session.say("Where can I park?")
        turn = await session.until(lambda m: m["type"] == "turn" and m["text"], since)
        assert "car park" in turn["reply"].lower()
        # a long answer is broken off
        since = len(session.messages)
        await session.ask("text", text="When are you open?")
        await session.of("state", since, state="speaking")
        assert (await session.ask("interrupt"))["type"] == "ok"
        cut = await session.of("turn", since)
        assert cut["interrupted"] is True
        await session.send(type="end")
        assert await session.until_closed() == 1000


async def test_who_may_and_who_may_not(server: Server, speech: LocalSpeech) -> None:
    path = "/v1/voice/realtime/session"
    given = await server.post(path, {"agent": "front-desk", "origin": "https://app.example"})
    assert given["url"].startswith("ws://127.0.0.1:")
    async with SessionClient(server.url, speech) as stranger:
        assert await stranger.until_closed() == 4401
        assert stranger.messages[0]["code"] == "no_key"
    token = given["token"]
    async with SessionClient(server.url, speech, token=token, origin="https://evil.example") as one:
        assert await one.until_closed() == 4403
    # an origin that is not allowed has not spent it; this server's own is not the token's
    async with SessionClient(server.url, speech, token=token, origin=server.url) as one:
        assert await one.until_closed() == 4403
    given = await server.post(path, {"agent": "echo", "sample_rate": 8000})
    token = given["token"]
    async with SessionClient(server.url, speech, token=token, rate=8000, origin=server.url) as one:
        ready = await one.of("ready")
        assert (ready["session"], ready["agent"]) == (given["id"], "echo")
        assert one.ws.protocol == "telebot.realtime"
        await one.send(type="end")
        assert await one.until_closed() == 1000
    async with SessionClient(server.url, speech, token=token, rate=8000) as again:
        assert await again.until_closed() == 4401
    given = await server.post(path, {"agent": "echo", "sample_rate": 8000})
    async with SessionClient(server.url, speech, token=given["token"], rate=16_000) as other:
        assert await other.until_closed() == 4400
        assert other.messages[0]["code"] == "fixed"
    async with client(server, speech, agent="nobody") as one:
        assert await one.until_closed() == 4400
        assert [m.get("code") for m in one.messages] == ["unknown_agent", None]
    async with client(server, speech, provider={"stt": "nobody"}) as one:
        assert await one.until_closed() == 4400
        assert one.messages[0]["code"] == "no_provider"
    async with client(server, speech, agent="echo") as one:
        await one.of("ready")
        for _ in range(21):
            await one.ws.send_str("{")
        assert await one.until_closed() == 4400
        assert [m["code"] for m in one.messages if m["type"] == "error"][-1] == "too_many_faults"
    async with client(server, speech, agent="echo") as one:
        await one.of("ready")
        await one.ws.send_bytes(bytes(100_000))
        assert await one.until_closed() == 1009


async def test_what_a_user_forbids_is_not_kept_and_of_a_deleted_user_nothing_is(
    server: Server, speech: LocalSpeech
) -> None:
    path = f"{server.url}/v1/voice/preferences"
    headers = {"Authorization": f"Bearer {server.key}"}

    async def talked(user: str) -> str:
        async with client(server, speech, agent="front-desk", user=user) as session:
            ready = await session.of("ready")
            await session.of("turn", turn=0)
            await session.ask("text", text="Where can I park?")
            await session.of("turn", turn=1)
            await session.send(type="end")
            assert await session.until_closed() == 1000
        return str(ready["session"])

    async with aiohttp.ClientSession(headers=headers) as http:
        private = {"privacy": {"keep": False, "data_collection": "deny"}}
        async with http.put(path, params={"user": "anna"}, json=private) as answer:
            assert answer.status == 200
        anna, ben = await asyncio.gather(talked("anna"), talked("ben"))
        record = await server.record(anna)
        assert len(record["turns"]) == 2
        assert {turn["bot_text"] + turn["bot_text_heard"] for turn in record["turns"]} == {""}
        assert {turn["caller_text"] for turn in record["turns"]} == {None, ""}
        assert record["recording"]["state"] == "off"
        record = await server.record(ben)
        assert "park" in record["turns"][1]["caller_text"]
        assert record["recording"]["state"] != "off"
        call = f"{server.url}/v1/calls/{record['id']}"
        async with http.delete(path, params={"user": "ben"}) as answer:
            assert answer.status == 204
        async with http.get(call) as answer:
            assert answer.status == 404
        vendor = {"target": "vendor", "user": "anna"}
        async with http.post(f"{server.url}/v1/voice/realtime/session", json=vendor) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (400, "no_provider")
