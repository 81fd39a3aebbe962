"""Speaking over the bot: what stops it, what does not, and that nothing said is lost.

Measured in samples of the call's own clock, never in wall time.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Any

import numpy as np
import pytest
from serving import Dial, Server

from telebot.phone.microphone import Utterance
from telebot.phone.phone import Phone
from telebot.phone.playout import Span

pytestmark = pytest.mark.e2e

QUESTION = "What are your opening hours?"


def words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def lost(said: str, heard: str) -> list[str]:
    """The words of `said` that are not in `heard` in their order."""
    expected = words(said)
    found: set[int] = set()
    for block in SequenceMatcher(
        None, expected, words(heard), autojunk=False
    ).get_matching_blocks():
        found.update(range(block.a, block.a + block.size))
    return [word for at, word in enumerate(expected) if at not in found]


def cough(seconds: float = 0.25) -> Utterance:
    """A burst of noise with the shape of a cough: a hard beginning that dies away."""
    t = np.arange(round(seconds * 8000)) / 8000
    noise = np.random.default_rng(5).normal(0, 1, len(t)) * np.exp(-t / 0.08) * 7000
    return Utterance("(cough)", noise.clip(-32768, 32767).astype("<i2").tobytes(), 0, len(t))


def voice_in(phone: Phone, span: Span) -> int:
    """Samples of audible bot voice inside `span`."""
    spans = phone.stream.playout.voice
    return sum(max(0, min(v.end, span.end) - max(v.start, span.start)) for v in spans)


def clears(phone: Phone) -> list[int]:
    """Where the server emptied the play-out buffer."""
    return [one.position for one in phone.stream.happenings if one.name == "clear"]


async def reply_record(server: Server, phone: Phone) -> dict[str, Any]:
    """The turn that answered QUESTION."""
    record = await server.record(phone.to.call_sid)
    return next(turn for turn in record["turns"] if turn["caller_text"] is not None)


async def test_an_interruption_stops_the_bot_and_is_answered(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        turn = await phone.interrupt("Where can I park my car?", after_s=1.2)
    assert turn.over_bot
    assert turn.caller is not None
    assert turn.audible_at is not None
    assert turn.interrupted_by == "caller"
    first, *_ = [at for at in clears(phone) if at >= turn.caller.start]
    assert first - turn.caller.start < 8000 * 0.6  # silent long before the caller ends
    assert voice_in(phone, Span(first, turn.audible_at)) == 0
    assert "park" in turn.heard.lower()
    cut = await reply_record(server, phone)
    assert cut["interrupted"]
    assert cut["bot_text"].startswith(cut["bot_text_heard"])
    assert 0 < len(cut["bot_text_heard"]) < len(cut["bot_text"])
    # it says that so much was heard: the caller's ear must agree, up to a word at the cut
    ear = phone.turns[1].heard
    assert len(lost(cut["bot_text_heard"], ear)) <= 1
    assert len(words(ear)) <= len(words(cut["bot_text_heard"])) + 2


@pytest.mark.parametrize("text", ["Please stop.", "Wait.", "Stop."])
async def test_a_word_is_enough_to_interrupt(server: Server, dial: Dial, text: str) -> None:
    """Also one the recogniser gets wrong: it is no hum, so the caller wants the floor."""
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        turn = await phone.interrupt(text, after_s=1.2)
    reply = await reply_record(server, phone)
    assert turn.interrupted_by == "caller", reply
    assert reply["interrupted"]


@pytest.mark.parametrize("after_s", [0.8, 1.7])
async def test_a_backchannel_is_no_interruption(server: Server, dial: Dial, after_s: float) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        turn = await phone.interrupt("Mm-hmm.", after_s=after_s)
    reply = await reply_record(server, phone)
    assert turn.over_bot
    assert turn.went_on, reply
    assert not reply["interrupted"]
    assert reply["bot_text_heard"] == reply["bot_text"]
    # one word may be the recogniser's own slip at the place where the voice was held
    assert len(lost(reply["bot_text"], phone.turns[1].heard)) <= 1
    assert len((await server.record(phone.to.call_sid))["turns"]) == 2  # greeting and reply


async def test_a_cough_is_no_interruption(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        await phone.speak(QUESTION)
        await phone.into_reply(1.2)
        turn = await phone.utter(cough())
        await phone.heard()
    reply = await reply_record(server, phone)
    assert turn.went_on, reply
    assert not reply["interrupted"]
    assert reply["bot_text_heard"] == reply["bot_text"]
    assert len(lost(reply["bot_text"], phone.turns[1].heard)) <= 1


async def test_a_cough_in_silence_is_not_answered(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        await phone.heard()
        turn = await phone.utter(cough())
        await phone.wait(2.5)
        await phone.understand()
        assert not turn.answered
        after = await phone.say(QUESTION)
        assert "open" in after.heard.lower()
    record = await server.record(phone.to.call_sid)
    assert len(record["turns"]) == 2


async def test_the_greeting_can_be_interrupted(server: Server, dial: Dial) -> None:
    async with dial(server) as phone:
        turn = await phone.interrupt(QUESTION, after_s=0.6)
        assert turn.interrupted_by == "caller"
        assert "open" in turn.heard.lower()
    record = await server.record(phone.to.call_sid)
    assert record["turns"][0]["interrupted"]
    assert record["turns"][0]["bot_text"].startswith(record["turns"][0]["bot_text_heard"])
