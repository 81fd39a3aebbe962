"""No vendor answers and there is no person: the caller leaves a message and finds it on record."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from serving import Server

from bench.failover_cases import Case, staged, write_config
from telebot.phone.destination import Destination
from telebot.phone.exchange import secret_for
from telebot.phone.phone import Phone
from telebot.phone.voices import LocalSpeech as Ears
from telebot.providers.local_speech import LocalSpeech

pytestmark = pytest.mark.e2e

REQUEST = "Nobody can answer. Please leave a message."
SAID = "Hello, this is Anna, please call me back about the table."


async def test_a_message_is_left(speech: Ears, tmp_path: Path) -> None:
    case = Case("llm", "openai", "500", "connect")
    async with LocalSpeech() as local, staged(local, [case]) as ([stage], environ):
        agent = stage.agent([stage.spec])  # nobody behind it
        agent["phrases"] |= {"leave_message": REQUEST, "message_thanks": "Thank you, goodbye."}
        server = Server(tmp_path / "data", write_config(tmp_path, {"alone": agent}), **environ)
        await asyncio.to_thread(server.__enter__)  # it asks the vendors, which are in this process
        try:
            stage.sim.faults.on = case.command
            to = Destination(server.url, secret_for(server.url, "local"), agent="alone")
            async with Phone(to, speech) as phone:
                await phone.listen(quiet_s=0.5)
                await phone.speak("Where can I park?")
                await phone.into_reply(1.0)
                await phone.listen(quiet_s=0.5)
                before_s = phone.stream.playout.position / 8000
                await phone.speak(SAID)
                assert await phone.until_over(30), server.tail()
            record = await server.record(to.call_sid)
        finally:
            await asyncio.to_thread(server.__exit__, None, None, None)
    assert record["termination"] == {"result": "completed", "reason": "message_taken"}
    assert record["turns"][-2]["bot_text_heard"] == REQUEST
    assert record["turns"][-1]["bot_text_heard"] == "Thank you, goodbye."
    [note] = record["notes"]
    assert note["kind"] == "message"
    assert before_s - 1.0 < note["fields"]["start_s"] < note["fields"]["end_s"]
    assert "call me back" in note["fields"]["text"].lower()
    assert record["recording"]["state"] == "ready"
