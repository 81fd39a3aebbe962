"""Calls in which something goes wrong, or anything at all happens: they go on, and they end."""

from __future__ import annotations

import asyncio
import random

import pytest
import structlog
from sounds import misplaced
from telephone import TestAgent, exchange, phrase
from virtual_time import run

pytestmark = pytest.mark.unit

QUESTION = "Are you open on Mondays?"
ANSWER = "We are open from noon to ten every day but Monday and we have a car park too."
SILENCE = {"silence_s": 3.0}


@pytest.mark.parametrize("answer", ["", "..."])
def test_an_answer_that_comes_to_nothing_leaves_the_floor_to_the_caller(spoken, answer):
    async def scene() -> None:
        agent = TestAgent([answer, ANSWER], hears=[QUESTION, QUESTION], call=SILENCE)
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: bool(line.log.turns[1:]), 15)
            nothing = line.log.turns[1]
            assert (nothing.caller_text, nothing.bot_text_heard) == (QUESTION, answer)
            await asyncio.sleep(5)
            if answer == "":
                assert line.log.turns[2].bot_text == "Are you there?"
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: line.log.turns[-1].bot_text_heard == ANSWER, 15)

    run(scene())


@pytest.mark.parametrize("answer", ["FAULT in the voice.", "STUCK"])
def test_a_provider_that_fails_is_apologised_for_in_bounded_time(spoken, answer):
    async def scene() -> None:
        agent = TestAgent([answer], hears=[QUESTION], call=SILENCE)
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 3, 15)
            assert line.log.turns[1].caller_text == QUESTION
            assert line.log.turns[2].bot_text_heard in ("I am sorry.", "Are you there?")
            await phone.until(lambda: phone.carrier.closed, 60)

    run(scene())


def test_a_goodbye_in_the_middle_of_a_contest_is_heard(spoken):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION, ""])) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: "speaking" in line.log.states)
            await asyncio.sleep(1.0)
            phone.said += spoken("Mm-hmm.")[:4000]
            await phone.until(lambda: phone.conversation.parts.turns.contested)
            line.speech.goodbye("drained")
            await phone.until(lambda: phone.carrier.closed, 10)
            assert phone.carrier.heard().endswith(phrase("Goodbye.").ulaw)
            await phone.hang_up("carrier_ended")
            assert [ending.reason for ending in line.log.endings] == ["drained"]

    run(scene())


def test_a_goodbye_in_a_contest_over_a_reply_that_came_to_nothing_is_heard(spoken):
    async def scene() -> None:
        agent = TestAgent([""], hears=[QUESTION, ""], llm_delay_s=0.6)
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: "thinking" in line.log.states)
            phone.said += spoken(QUESTION)[:5000]
            await phone.until(lambda: phone.conversation.parts.turns.contested)
            await phone.until(lambda: phone.conversation.parts.replies.current is None)
            assert phone.conversation.parts.turns.contested
            line.speech.goodbye("drained")
            await phone.until(lambda: phone.carrier.closed, 10)
            assert phone.carrier.heard().endswith(phrase("Goodbye.").ulaw)

    run(scene())


def test_a_stalled_process_loses_nothing_that_is_said(spoken):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: "speaking" in line.log.states)
            await asyncio.sleep(0.5)
            asyncio.get_running_loop().now += 1.3  # type: ignore[attr-defined]
            await phone.until(lambda: len(line.log.turns) == 2)
            assert phone.carrier.heard().endswith(phrase(ANSWER).ulaw)
            assert line.log.turns[1].bot_text_heard == ANSWER

    run(scene())


def test_what_comes_after_the_end_is_nobodys(spoken):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as line:
            phone = await line.dial()
            phone.said += spoken(QUESTION)
            await asyncio.sleep(0.5)
            await phone.hang_up()
            sent, said = len(phone.carrier.pieces), len(line.log.events)
            await phone.conversation.audio(b"\xff" * 160, 20_000)
            await phone.conversation.played("0:160")
            await phone.conversation.digit("5")
            phone.conversation.goodbye("drained")
            await asyncio.sleep(5)
            assert len(phone.carrier.pieces) == sent
            assert len(line.log.events) <= said + 1
            assert len(line.log.endings) == 1

    run(scene())


LINES = ("", "", "Mm-hmm.", "Okay.", QUESTION, "I'd like to book a table for", "Stop.", "No wait")


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_caller_does_the_call_goes_on_and_ends(spoken, seed):
    """Random sounds over everything; then silence, which always ends in the bot's goodbye."""

    async def scene() -> None:
        dice = random.Random(seed)
        clips = [
            spoken(text) for text in (QUESTION, "Mm-hmm.", "Stop.", "I would like a table for")
        ]
        agent = TestAgent(
            [ANSWER, "Yes.", "", "One sentence. And another one after it."],
            hears=[dice.choice(LINES) for _ in range(40)],
            stt_delay_s=dice.choice([0.05, 0.4]),
            llm_delay_s=dice.choice([0.05, 0.7]),
            tts_delay_s=dice.choice([0.0, 0.3]),
            call=SILENCE,
        )
        async with exchange(agent) as line:
            phone = await line.dial(latency_s=dice.choice([0.0, 0.1]))
            for _ in range(10):
                await asyncio.sleep(dice.choice([0.05, 0.3, 0.6, 1.5, 4.0]))
                if phone.carrier.closed:
                    break
                if dice.random() < 0.15:
                    await phone.conversation.digit(dice.choice("123"))
                clip = dice.choice(clips)
                await phone.say(clip[: dice.randrange(400, len(clip))])
            await phone.until(lambda: phone.carrier.closed, 90)
            await phone.hang_up("carrier_ended")
            assert [ending.reason for ending in line.log.endings] == ["silence"]
            assert line.log.turns[-1].bot_text_heard == "I hang up now."
            for turn in line.log.turns:
                assert turn.bot_text.startswith(turn.bot_text_heard)
            heard = [turn.bot_text_heard for turn in line.log.turns if turn.bot_text_heard]
            assert [text for role, text in phone.messages if role == "assistant"] == heard
            ear = phone.carrier.timeline()
            assert misplaced(ear, phone.tape.bot_timeline(len(ear))) <= 40

    with structlog.testing.capture_logs() as logs:
        run(scene())
    bad = [entry for entry in logs if entry["log_level"] in ("error", "critical")]
    assert not bad, bad
