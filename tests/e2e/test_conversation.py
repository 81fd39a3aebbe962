"""Spoken conversations through the whole server, and what its records say of them."""

from __future__ import annotations

import asyncio
import io
import json
import wave
from typing import Any

import numpy as np
import pytest
from bookings import EXAMPLE, check_booking
from serving import TELEBOT, Dial, Server

pytestmark = pytest.mark.e2e


def replies(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The turns that answer the caller."""
    return [turn for turn in record["turns"] if turn["caller_text"] is not None]


async def test_the_example_of_the_readme(server: Server) -> None:
    """`telebot call` as a user types it."""
    argv = [arg for text in EXAMPLE for arg in ("--say", text)]
    process = await asyncio.create_subprocess_exec(
        str(TELEBOT), "call", server.url, *argv, "--json",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate()
    assert process.returncode == 0, (out.decode(), err.decode(), server.tail())
    call = json.loads(out)
    monday, booking, confirmed, goodbye = call["turns"]
    assert all(turn["interrupted_by"] is None for turn in call["turns"]), call
    assert "harbour street" in call["greeting"].lower().replace("harbor", "harbour")
    assert "closed" in monday["heard"].lower()
    assert "johnson" in booking["heard"].lower()
    assert "booked" in confirmed["heard"].lower()
    assert "goodbye" in goodbye["heard"].lower()
    assert call["ended_by"] == "bot"
    assert call["close_code"] == 1000
    assert call["apology"] == ""
    assert call["cut_ms"] == 0  # the goodbye was heard to its end
    assert call["faults"] == {"count": 0, "kinds": []}
    await check_record(server, call)


async def check_record(server: Server, call: dict[str, Any]) -> None:
    record = await server.record(call["call_sid"])
    check_booking(record)
    assert record["carrier"] == "local"
    assert record["agent"] == "front-desk"
    assert record["direction"] == "inbound"
    assert record["termination"] == {"result": "completed", "reason": "bot_hangup"}
    assert record["duration_s"] == pytest.approx(call["duration_s"], abs=1.0)
    greeting, *turns = record["turns"]
    assert greeting["caller_text"] is None
    assert [turn["index"] for turn in record["turns"]] == list(range(len(record["turns"])))
    assert len(turns) == len(call["turns"])
    for turn, heard in zip(turns, call["turns"], strict=True):
        assert turn["bot_text_heard"] == turn["bot_text"]
        assert not turn["interrupted"]
        # the server's clock is the carrier's: both must mean the same stretch of the call
        assert turn["latency_ms"]["heard"] == pytest.approx(heard["latency_ms"], abs=150)
        assert turn["providers"] == {"stt": "local", "llm": "dialog", "tts": "local"}
    await check_recording(server, record, call)


async def check_recording(server: Server, record: dict[str, Any], call: dict[str, Any]) -> None:
    content = await server.get_bytes(f"/v1/calls/{record['id']}/recording")
    with wave.open(io.BytesIO(content)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, 8000)
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert len(both) / 8000 == pytest.approx(call["duration_s"], abs=1.0)
    for turn in call["turns"]:
        (caller_start, caller_end), (bot_start, bot_end) = turn["caller"], turn["bot"]
        caller, bot = loud(both, 0), loud(both, 1)
        assert caller[caller_start:caller_end].mean() > 0.3
        assert bot[bot_start:bot_end].mean() > 0.3
        # aligned: while one speaks the other side is silent, up to the jitter of the clocks
        assert bot[caller_start + 400 : caller_end - 400].mean() < 0.02
        assert caller[bot_start + 400 : bot_end - 400].mean() < 0.02


def loud(both: np.ndarray[Any, Any], side: int) -> np.ndarray[Any, Any]:
    """Per sample: is there speech within 40 ms of it?"""
    level = np.abs(both[:, side].astype(float))
    return np.convolve(level, np.ones(640) / 640, "same") > 200


async def test_a_pause_inside_a_sentence_is_not_answered(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        turn = await phone.say("I'd like to book a table for six people", pauses=((7, 1.0),))
        assert not turn.bot_interrupted
        assert turn.answered
    record = await server.record(phone.to.call_sid)
    (reply,) = replies(record)
    words = reply["caller_text"].lower()
    assert "table" in words
    assert "six" in words or "6" in words
    assert "day" in reply["bot_text"].lower()  # the party is known: it asks for the day


async def test_a_comma_is_not_the_end_of_a_sentence(server: Server, dial: Dial) -> None:
    """The voice pauses for 380 ms at the comma of the issue's own example."""
    async with dial(server) as phone:
        await phone.heard()
        turn = await phone.say(EXAMPLE[1])
    record = await server.record(phone.to.call_sid)
    assert not turn.bot_interrupted, record["turns"]
    assert len(replies(record)) == 1, record["turns"]


async def test_keys_are_an_answer(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        asked = await phone.say("I would like to book a table.")
        assert "how many" in asked.heard.lower()
        await phone.press("4#")
        assert "day" in (await phone.heard()).lower()
    record = await server.record(phone.to.call_sid)
    assert "4" in replies(record)[-1]["caller_text"]


async def test_a_number_keyed_without_the_hash_is_taken_after_a_pause(
    server: Server, dial: Dial
) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.say("I would like to book a table.")
        await phone.press("12")
        assert "day" in (await phone.heard()).lower()


async def test_two_calls_at_once_keep_their_words_apart(server: Server, dial: Dial) -> None:
    async def talk(text: str) -> tuple[str, str, str]:
        async with dial(server) as phone:
            await phone.heard()
            turn = await phone.say(text)
        return phone.to.call_sid, text, turn.heard.lower()

    hours, parking = await asyncio.gather(
        talk("What time do you open on Sunday?"), talk("Where can I park my car?")
    )
    assert "open" in hours[2]
    assert "park" not in hours[2]
    assert "park" in parking[2]
    for call_sid, text, _ in (hours, parking):
        (turn,) = replies(await server.record(call_sid))
        said = turn["caller_text"].lower()
        assert ("sunday" in said) == ("Sunday" in text)
        assert ("park" in said) == ("park" in text)


async def test_another_agent_answers_when_it_is_named(server: Server, dial: Dial) -> None:
    async with dial(server, agent="echo") as phone:
        await phone.heard()
        turn = await phone.say("The weather is lovely today")
        assert "lovely" in turn.heard.lower()
    assert (await server.record(phone.to.call_sid))["agent"] == "echo"
