"""The turns of a direct session: what stands in the record of what was said, heard and cut."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from direct_house import SECOND, House
from virtual_time import run

from telebot.speech.direct_record import DirectRecord
from telebot.speech.direct_turns import TEXT_WAIT_S, DirectTurns

pytestmark = pytest.mark.unit

ANSWER = "We are open from noon to ten. On Mondays we are closed."


def session(story: Callable[[House, DirectTurns], Coroutine[Any, Any, None]]) -> House:
    """A session up to the end of its story."""

    async def told() -> House:
        house = House()
        record = DirectRecord(house.outside)
        record.begin()
        turns = DirectTurns(house.outside, record)
        voice = asyncio.create_task(turns.run())
        await story(house, turns)
        voice.cancel()
        await asyncio.gather(voice, return_exceptions=True)
        return house

    return run(told())


def answer(turns: DirectTurns, seconds: int = 2) -> None:
    """A whole one."""
    turns.reply_starts("acme/1")
    for word in ANSWER.split():
        turns.reply_text(f"{word} ")
    for _ in range(seconds):
        turns.reply_audio(SECOND)
    turns.reply_ends()


def test_a_question_and_its_answer_are_one_turn() -> None:
    async def story(house: House, turns: DirectTurns) -> None:
        assert turns.speech_starts() is None
        turns.said("When are", final=False)
        turns.speech_stops(0.5)
        turns.said("When are you open?", final=True)
        assert turns.unanswered == "When are you open?"
        answer(turns)
        await asyncio.sleep(2.5)
        assert (turns.index, turns.unanswered) == (1, None)
        assert turns.history == [
            {"role": "user", "content": "When are you open?"},
            {"role": "assistant", "content": f"{ANSWER} "},
        ]

    house = session(story)
    (turn,) = house.log.turns
    assert (turn.caller_text, turn.bot_text, turn.bot_text_heard) == (
        "When are you open?",
        ANSWER,
        ANSWER,
    )
    assert (turn.interrupted, turn.providers["llm"]) == (False, "acme/1")
    assert turn.latency_ms.heard == 500.0
    assert house.log.states == ["listening", "thinking", "speaking", "listening"]
    assert house.audience.told[:2] == [
        ("partial", "When are"),
        ("transcript", 0, "When are you open?"),
    ]
    assert sum(map(len, house.sent)) == 2 * len(SECOND)
    assert house.cleared == 0


def test_speech_over_an_answer_leaves_what_was_heard_of_it() -> None:
    async def story(house: House, turns: DirectTurns) -> None:
        turns.typed("When are you open?")
        answer(turns)
        await asyncio.sleep(1.0)
        heard_s = turns.speech_starts()
        assert heard_s is not None
        assert 0.9 < heard_s < 1.1
        assert turns.unanswered is None
        assert turns.interrupt() is None

    house = session(story)
    (turn,) = house.log.turns
    assert turn.interrupted
    assert ANSWER.startswith(turn.bot_text_heard)
    assert 3 <= len(turn.bot_text_heard.split()) <= 8
    assert house.cleared == 1
    assert house.log.events == [("clear", {})]
    assert sum(map(len, house.sent)) <= 1.6 * len(SECOND)


def test_an_answer_that_nobody_heard_leaves_its_question_open() -> None:
    async def story(house: House, turns: DirectTurns) -> None:
        turns.typed("When are you open?")
        turns.reply_starts("acme/1")
        assert turns.unanswered == "When are you open?"
        turns.forget()
        turns.interrupt()
        assert turns.history == [{"role": "user", "content": "When are you open?"}]
        turns.forget()
        assert (turns.history, turns.unanswered) == ([], None)

    house = session(story)
    assert house.cleared == 0


def test_words_that_come_behind_the_answer_to_them_are_waited_for() -> None:
    async def story(house: House, turns: DirectTurns) -> None:
        turns.speech_starts()
        turns.speech_stops(0.5)
        answer(turns)
        await asyncio.sleep(2.1)
        assert house.log.turns == []
        turns.said("When are you open?", final=True)
        await asyncio.sleep(0.1)
        turns.speech_starts()
        answer(turns, 1)
        await asyncio.sleep(1.1 + TEXT_WAIT_S)

    house = session(story)
    assert [turn.caller_text for turn in house.log.turns] == ["When are you open?", None]


def test_a_second_answer_ends_the_first_and_keeps_its_question() -> None:
    async def story(house: House, turns: DirectTurns) -> None:
        turns.typed("One?")
        answer(turns)
        await asyncio.sleep(1.0)
        turns.said("Two?", final=True)
        answer(turns)
        await asyncio.sleep(2.5)

    house = session(story)
    assert [(turn.caller_text, turn.interrupted) for turn in house.log.turns] == [
        ("One?", True),
        ("Two?", False),
    ]
