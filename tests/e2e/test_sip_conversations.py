"""The first conversations of this house (`test_conversation.py`, `test_barge_in.py`) over SIP, at
3 % loss and 40 ms jitter both ways: the task succeeds as it does over a media socket."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bookings import EXAMPLE, check_booking
from serving import Server
from sip_network import bad_line

from telebot.phone.voices import LocalSpeech

pytestmark = pytest.mark.soak


def replies(record: dict[str, Any]) -> list[dict[str, Any]]:
    return [turn for turn in record["turns"] if turn["caller_text"] is not None]


@pytest.mark.parametrize("seed", range(2, 7))
async def test_a_booking(server: Server, speech: LocalSpeech, seed: int) -> None:
    async with bad_line(server, speech, seed=seed) as (phone, _):
        await phone.heard()
        for text in EXAMPLE:
            await phone.say(text)
        assert await phone.until_over(10)
    check_booking(await server.record(phone.to.call_sid))


async def test_a_pause_inside_a_sentence_is_not_answered(
    server: Server, speech: LocalSpeech
) -> None:
    async with bad_line(server, speech) as (phone, _):
        await phone.heard()
        turn = await phone.say("I'd like to book a table for six people", pauses=((7, 1.0),))
        assert not turn.bot_interrupted
    (reply,) = replies(await server.record(phone.to.call_sid))
    assert "day" in reply["bot_text"].lower()


async def test_a_comma_is_not_the_end_of_a_sentence(server: Server, speech: LocalSpeech) -> None:
    async with bad_line(server, speech) as (phone, _):
        await phone.heard()
        await phone.say(EXAMPLE[1])
    assert len(replies(await server.record(phone.to.call_sid))) == 1


async def test_keys_are_an_answer(server: Server, speech: LocalSpeech) -> None:
    async with bad_line(server, speech) as (phone, _):
        await phone.heard()
        assert "how many" in (await phone.say("I would like to book a table.")).heard.lower()
        await phone.press("12#")
        assert "day" in (await phone.heard()).lower()
    record = await server.record(phone.to.call_sid)
    assert "12" in replies(record)[-1]["caller_text"]


async def test_two_calls_at_once_keep_their_words_apart(
    server: Server, speech: LocalSpeech
) -> None:
    async def talk(text: str, seed: int) -> str:
        async with bad_line(server, speech, seed=seed) as (phone, _):
            await phone.heard()
            return (await phone.say(text)).heard.lower()

    hours, parking = await asyncio.gather(
        talk("What time do you open on Sunday?", 1), talk("Where can I park my car?", 2)
    )
    assert "open" in hours
    assert "park" not in hours
    assert "park" in parking


async def test_an_interruption_stops_the_bot_and_is_answered(
    server: Server, speech: LocalSpeech
) -> None:
    async with bad_line(server, speech) as (phone, _):
        await phone.heard()
        await phone.speak("What are your opening hours?")
        turn = await phone.interrupt("Where can I park my car?", after_s=1.2)
    cut, answer = replies(await server.record(phone.to.call_sid))
    assert cut["interrupted"]
    assert 0 < len(cut["bot_text_heard"]) < len(cut["bot_text"])
    assert "park" in answer["caller_text"].lower()
    assert "park" in turn.heard.lower()


async def test_a_backchannel_is_no_interruption(server: Server, speech: LocalSpeech) -> None:
    async with bad_line(server, speech) as (phone, _):
        await phone.heard()
        await phone.speak("What are your opening hours?")
        await phone.interrupt("Mm-hmm.", after_s=0.8)
        await phone.listen()
    reply = replies(await server.record(phone.to.call_sid))[0]
    assert not reply["interrupted"], reply
    assert reply["bot_text_heard"] == reply["bot_text"]
