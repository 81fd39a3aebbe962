"""A message is left when nobody can answer: whole calls on a virtual clock, and its hours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from telephone import Exchange, Telephone, TestAgent, exchange, phrase
from virtual_time import run

from telebot.speech.mailbox import BEGIN_S, PAUSE_S, Mailbox, Message
from telebot.speech.timers import Timers

pytestmark = pytest.mark.unit

SAID = "Please call me back about the table."


async def given_up(line: Exchange) -> Telephone:
    """A call whose chains have nobody left; the request was heard."""
    phone = await line.dial()
    await phone.quiet()
    phone.conversation.provider_exhausted("llm")
    await phone.quiet()
    return phone


def test_a_caller_whom_nobody_can_answer_leaves_a_message(spoken):
    async def scene() -> None:
        async with exchange(TestAgent(["Yes."], hears=[SAID])) as line:
            phone = await given_up(line)
            start, end = await phone.say(spoken(SAID))
            phone.conversation.provider_exhausted("stt")  # nothing is asked again
            await phone.until(lambda: phone.carrier.closed)
            assert phone.carrier.heard().endswith(phrase("Thank you.").ulaw)
            await phone.hang_up()
            [note] = line.log.notes
            assert note.kind == "message"
            assert note.fields["start_s"] == pytest.approx(start, abs=0.6)
            assert note.fields["end_s"] == pytest.approx(end, abs=0.6)
            assert note.fields["text"] == SAID
            assert note.fields["caller"] == "+15550001"
            assert [ending.reason for ending in line.log.endings] == ["message_taken"]
            assert all(turn.caller_text is None for turn in line.log.turns)

    run(scene())


@pytest.mark.parametrize("thinking", [False, True])
def test_a_pause_in_a_message_is_not_asked_about(spoken, thinking):
    """Neither by the silence that ran before, nor by that of an answer which came to nothing."""

    async def scene() -> None:
        call = {"silence_s": 4.0}
        agent = TestAgent(["Yes."], hears=["A question."] * thinking, llm_delay_s=60.0, call=call)
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            if thinking:
                await phone.say(spoken("Where can I park?"))
                await phone.until(lambda: phone.conversation.answering.occupied)
            phone.conversation.provider_exhausted("llm")
            await phone.quiet()
            for _ in range(2):
                start, _ = await phone.say(spoken(SAID))
                await asyncio.sleep(2.5)
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up()
            said = [turn.bot_text for turn in line.log.turns if turn.caller_text is None]
            assert said == ["Hello there.", "Please leave a message.", "Thank you."]
            assert line.log.notes[0].fields["end_s"] > start
            heard = [event.fields["start_s"] for event in line.log.events if event.name == "speech"]
            assert heard[-1] == pytest.approx(start, abs=0.6)

    run(scene())


def test_a_caller_who_hangs_up_in_the_middle_has_left_one(spoken):
    async def scene() -> None:
        async with exchange(TestAgent(["Yes."])) as line:
            phone = await given_up(line)
            phone.said += spoken(SAID)
            await asyncio.sleep(1.5)
            await phone.hang_up()
            [note] = line.log.notes
            assert note.fields["end_s"] - note.fields["start_s"] > 0.5
            assert "text" not in note.fields
            assert [ending.reason for ending in line.log.endings] == ["caller_hangup"]

    run(scene())


def test_who_has_nothing_to_say_hears_the_apology():
    async def scene() -> None:
        async with exchange(TestAgent(["Yes."])) as line:
            phone = await given_up(line)
            await phone.until(lambda: phone.carrier.closed)
            assert phone.carrier.heard().endswith(phrase("I am sorry.").ulaw)
            await phone.hang_up()
            assert line.log.notes == []
            assert [ending.reason for ending in line.log.endings] == ["server_error"]

    run(scene())


def test_an_agent_may_take_none():
    async def scene() -> None:
        async with exchange(TestAgent(["Yes."], call={"max_message_s": 0})) as line:
            phone = await line.dial()
            await phone.quiet()
            phone.conversation.provider_exhausted("llm")
            await phone.until(lambda: phone.carrier.closed)
            assert phone.carrier.heard().endswith(phrase("I am sorry.").ulaw)
            await phone.hang_up()

    run(scene())


@dataclass
class Box:
    """A mailbox whose timers are told when they are due."""

    longest_s: float = 60.0
    running: list[Timer] = field(default_factory=list)
    kept: list[Message] = field(default_factory=list)
    goodbyes: list[str] = field(default_factory=list)
    now_s: float = 10.0

    def __post_init__(self) -> None:
        self.timers = Timers(self._later)
        self.box = Mailbox(
            self.timers,
            self.longest_s,
            say=lambda name: True,
            keep=self.kept.append,
            goodbye=self.goodbyes.append,
            now_s=lambda: self.now_s,
        )

    def _later(self, delay_s: float, do: Callable[[], None]) -> Timer:
        timer = Timer(delay_s, do)
        self.running.append(timer)
        return timer

    def due(self) -> list[float]:
        return sorted(timer.delay_s for timer in self.running if not timer.cancelled)


@dataclass
class Timer:
    delay_s: float
    do: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


def test_it_waits_for_the_first_word_and_then_for_a_pause() -> None:
    room = Box()
    assert room.box.open()
    assert room.due() == []
    room.box.asked()
    assert room.due() == [BEGIN_S, 60.0]
    room.box.speech_started(12.0)
    assert room.due() == [60.0]
    room.box.speech_stopped(14.0)
    assert room.due() == [PAUSE_S, 60.0]
    room.box.speech_started(15.0)
    room.box.speech_stopped(16.0)
    room.box.finish()
    room.box.finish()
    assert room.kept == [Message(12.0, 16.0, "")]
    assert room.goodbyes == ["message_taken"]
    assert room.due() == []


def test_who_speaks_while_being_asked_is_not_cut_off() -> None:
    room = Box()
    room.box.speech_started(9.0)
    room.box.open()
    room.box.asked()
    assert room.due() == [60.0]
    room.now_s = 20.0
    assert room.box.close()
    assert room.kept == [Message(10.0, 20.0, "")]
    assert not room.box.close()
