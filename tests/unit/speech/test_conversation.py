"""Whole calls, spoken, on a virtual clock: the real pipeline and detector, scripted services."""

from __future__ import annotations

import asyncio

import pytest
from sounds import misplaced, sounding
from telephone import WORD_S, Exchange, Telephone, TestAgent, exchange, phrase
from virtual_time import run

from telebot.dialog.actions import EndCall, Record

pytestmark = pytest.mark.unit

ANSWER = "We are open from noon to ten every day but Monday and we have a car park too."
QUESTION = "Are you open on Mondays?"
STOP_WITHIN_S = 0.27  # from the caller's onset to silence at the caller's ear


async def ready(line: Exchange) -> Telephone:
    """A call whose greeting is over."""
    phone = await line.dial()
    await phone.quiet()
    return phone


async def asked(phone: Telephone, spoken, text: str = QUESTION) -> float:
    """Ask, and wait until the answer is heard; when it began."""
    _, end = await phone.say(spoken(text))
    await phone.until(lambda: phone.conversation.parts.voice.talking)
    await asyncio.sleep(0.1)
    return phone.bot_from(end - 0.5)


def test_the_greeting_is_on_its_way_when_the_call_starts():
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER])) as line:
            phone = await line.dial()
            assert phone.carrier.played[0][0] == phone.carrier.began, "not a moment of silence"
            await phone.quiet()
            assert phone.carrier.heard() == phrase("Hello there.").ulaw
            (turn,) = line.log.turns
            assert (turn.caller_text, turn.bot_text) == (None, "Hello there.")
            assert turn.bot_text_heard == "Hello there."
            assert not turn.interrupted
            assert turn.providers["tts"] == "scripted"
            assert turn.providers["stt"] is None
            await phone.hang_up()
            assert line.log.states == ["greeting", "listening", "ended"]
            assert [ending.reason for ending in line.log.endings] == ["caller_hangup"]

    run(scene())


def test_a_turn_is_answered_and_on_record(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION])
        async with exchange(agent) as line:
            phone = await ready(line)
            clip = spoken(QUESTION)
            began, _ = await phone.say(clip)
            end = began + sounding(clip)[1] / 8000
            await phone.until(lambda: len(line.log.turns) == 2)
            turn = line.log.turns[1]
            assert (turn.caller_text, turn.bot_text, turn.bot_text_heard) == (
                QUESTION,
                ANSWER,
                ANSWER,
            )
            first = phone.bot_from(end)
            assert first - end < 0.6
            latency = turn.latency_ms
            assert latency.heard == pytest.approx((first - end) * 1000, abs=120)
            parts = (latency.stt, latency.endpointing, latency.llm_first_token)
            assert all(part is not None and 0 <= part < 500 for part in parts)
            assert latency.tts_first_audio == pytest.approx(50, abs=30)
            assert turn.bot_offset_s == pytest.approx(first, abs=0.05)
            assert agent.mind.committed == 1
            assert phone.messages == [
                ("assistant", "Hello there."),
                ("user", QUESTION),
                ("assistant", ANSWER),
            ]
            assert line.log.states == ["greeting", "listening", "thinking", "speaking", "listening"]

    run(scene())


@pytest.mark.parametrize("after_s", [0.8, 1.5, 2.6])
def test_a_caller_who_interrupts_hears_silence_and_is_answered(spoken, after_s):
    async def scene() -> None:
        agent = TestAgent([ANSWER, "Five it is."], hears=[QUESTION, "Actually, make it five."])
        async with exchange(agent) as line:
            phone = await ready(line)
            begin = await asked(phone, spoken)
            await asyncio.sleep(after_s)
            onset, _ = await phone.say(spoken("Actually, make it five people on Friday."))
            await phone.until(lambda: len(line.log.turns) == 3)
            turn = line.log.turns[1]
            assert turn.interrupted
            cleared = phone.carrier.clears[0] - phone.carrier.began
            assert cleared - onset < STOP_WITHIN_S + 0.1  # the clip itself begins softly
            said = int((cleared - begin) / WORD_S + 0.5)
            assert turn.bot_text == ANSWER
            heard = turn.bot_text_heard.split()
            assert heard == ANSWER.split()[: len(heard)]
            assert abs(len(heard) - said) <= 1
            assert phone.messages[2] == ("assistant", turn.bot_text_heard)
            assert line.log.turns[2].caller_text == "Actually, make it five."
            assert line.log.turns[2].bot_text_heard == "Five it is."

    run(scene())


def test_only_what_was_played_counts_as_heard_while_the_rest_is_still_being_made(spoken):
    """The second sentence is still in the making when the caller interrupts the first."""

    async def scene() -> None:
        answer = "We are open from noon to ten every single day. But we are closed on Mondays."
        agent = TestAgent(
            [answer, "Fine."], hears=[QUESTION, "Stop, I know that."], tts_delay_s=1.8
        )
        async with exchange(agent) as line:
            phone = await ready(line)
            await asked(phone, spoken)
            await asyncio.sleep(0.4)
            await phone.say(spoken("Stop, I know that already, thank you."))
            await phone.until(lambda: len(line.log.turns) >= 3)
            turn = line.log.turns[1]
            assert turn.interrupted
            assert len(turn.bot_text_heard.split()) <= 5
            assert phone.messages[2] == ("assistant", turn.bot_text_heard)

    run(scene())


@pytest.mark.parametrize("hears", ["", "Mm-hmm."])
def test_a_short_sound_over_the_bot_costs_nothing(spoken, hears):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION, hears])
        async with exchange(agent) as line:
            phone = await ready(line)
            await asked(phone, spoken)
            await asyncio.sleep(1.0)
            await phone.say(spoken("Mm-hmm.")[:4000])
            await phone.quiet()
            await phone.until(lambda: len(line.log.turns) == 2)
            turn = line.log.turns[1]
            assert not turn.interrupted
            assert turn.bot_text_heard == ANSWER
            whole = phrase(ANSWER).ulaw
            heard = phone.carrier.heard()[len(phrase("Hello there.").ulaw) :]
            said_again = len(heard) - len(whole)
            assert 0 <= said_again <= WORD_S * 8000 + 1, "a word at most"
            assert heard.endswith(whole[-8000:])
            assert phone.messages[-1] == ("assistant", ANSWER)

    run(scene())


def test_going_on_before_the_answer_is_one_turn(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=["A table for four", "on Friday."], llm_delay_s=3.0)
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken("A table for four"))
            await phone.until(lambda: "thinking" in line.log.states)
            await asyncio.sleep(0.3)
            await phone.say(spoken("on Friday evening, if you have one."))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].caller_text == "A table for four on Friday."
            assert [m for m in phone.messages if m[0] == "user"] == [
                ("user", "A table for four on Friday.")
            ]
            assert agent.mind.committed == 1
            assert agent.mind.discarded >= 1

    run(scene())


def test_a_turn_whose_answer_nobody_heard_does_nothing(spoken):
    """The answer is made while the caller goes on speaking: the voice is held, none of it heard."""

    async def scene() -> None:
        booking = Record("booking", {"people": 4})
        agent = TestAgent([ANSWER], hears=["A table for four", "No, for five."], llm_delay_s=0.6)
        agent.mind.actions = [[booking], []]
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken("A table for four"))
            await phone.until(lambda: "thinking" in line.log.states)
            await asyncio.sleep(0.2)
            await phone.say(spoken("No, please make that a table for five people."))
            await phone.until(lambda: len(line.log.turns) >= 2)
            await phone.quiet()
            heard = len(phone.carrier.heard()) - len(phrase("Hello there.").ulaw)
            assert heard == len(phrase(ANSWER).ulaw), "only the second answer was heard"
            assert line.log.notes == []
            assert line.log.turns[1].caller_text == "A table for four No, for five."

    run(scene())


def test_hanging_up_while_the_bot_thinks_leaves_nothing(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION], llm_delay_s=5.0)
        agent.mind.actions = [[Record("booking", {})]]
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: "thinking" in line.log.states)
            await asyncio.sleep(0.5)
            await phone.hang_up()
            await phone.conversation.ended("stream_lost")
            assert [ending.reason for ending in line.log.endings] == ["caller_hangup"]
            await asyncio.sleep(10)
            assert agent.mind.committed == 0
            assert line.log.notes == []
            last = line.log.turns[-1]
            assert (last.caller_text, last.bot_text, last.bot_text_heard) == (QUESTION, "", "")

    run(scene())


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.1, 0.7, 2.5])
def test_hanging_up_at_any_moment_leaves_nothing(spoken, after_s):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as line:
            before = asyncio.all_tasks()
            for _ in range(3):
                phone = await line.dial()
                phone.said += spoken(QUESTION)
                await asyncio.sleep(after_s)
                await phone.hang_up()
                await asyncio.sleep(0)
            assert asyncio.all_tasks() == before
            assert len(line.log.endings) == 3

    run(scene())


def test_what_was_heard_when_the_caller_hung_up_is_on_record(spoken):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as line:
            phone = await ready(line)
            begin = await asked(phone, spoken)
            await asyncio.sleep(1.6)
            await phone.hang_up()
            turn = line.log.turns[1]
            said = (phone.now - begin) / WORD_S
            assert turn.interrupted
            assert abs(len(turn.bot_text_heard.split()) - said) <= 1.2

    run(scene())


def test_the_recording_is_what_both_heard(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER, "Fine."], hears=[QUESTION, "", "Stop, thank you."])
        async with exchange(agent) as line:
            phone = await ready(line)
            await asked(phone, spoken)
            await asyncio.sleep(0.7)
            await phone.say(spoken("Hm.")[:3000])
            await asyncio.sleep(1.5)
            await phone.say(spoken("Stop, thank you, that is enough."))
            await asyncio.sleep(4)
            await phone.hang_up()
            ear = phone.carrier.timeline()
            assert misplaced(ear, phone.tape.bot_timeline(len(ear))) <= 20
            frames = phone.tape.caller_parts
            assert [at for at, _ in frames] == [160 * n for n in range(len(frames))]

    run(scene())


# endings


def test_a_silent_caller_is_asked_twice_and_then_let_go():
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], call={"silence_s": 3.0})) as line:
            phone = await line.dial()
            await phone.until(lambda: phone.carrier.closed, 60)
            await phone.hang_up("carrier_ended")
            assert [turn.bot_text for turn in line.log.turns] == [
                "Hello there.",
                "Are you there?",
                "Still there?",
                "I hang up now.",
            ]
            assert phone.carrier.heard().endswith(phrase("I hang up now.").ulaw), "heard whole"
            assert [ending.reason for ending in line.log.endings] == ["silence"]

    run(scene())


def test_a_caller_who_has_put_us_on_hold_is_waited_for():
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], call={"silence_s": 3.0})) as line:
            phone = await line.dial()
            phone.carrier.held = True
            await asyncio.sleep(60)
            assert [turn.bot_text for turn in line.log.turns] == ["Hello there."]
            phone.carrier.held = False
            await phone.until(lambda: phone.carrier.closed, 60)
            await phone.hang_up("carrier_ended")
            assert [turn.bot_text for turn in line.log.turns][1] == "Are you there?"

    run(scene())


def test_a_lone_hash_key_does_not_end_the_bots_patience():
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], call={"silence_s": 3.0})) as line:
            phone = await ready(line)
            await phone.conversation.digit("#")
            await asyncio.sleep(30)
            assert phone.carrier.closed
            assert len(line.log.turns) == 4

    run(scene())


def test_keyed_digits_are_a_turn():
    async def scene() -> None:
        agent = TestAgent([ANSWER])
        async with exchange(agent) as line:
            phone = await ready(line)
            for key in "42#":
                await phone.conversation.digit(key)
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].caller_text == "42"
            assert phone.messages[1] == ("user", "[keypad] 42")
            assert line.log.turns[1].latency_ms.heard is None

    run(scene())


def test_the_goodbye_is_heard_before_the_bot_hangs_up(spoken):
    async def scene() -> None:
        agent = TestAgent(["Goodbye and thank you."], hears=["Goodbye."])
        agent.mind.actions = [[EndCall("goodbye")]]
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken("Goodbye then."))
            await phone.until(lambda: phone.carrier.closed)
            assert phone.carrier.heard().endswith(phrase("Goodbye and thank you.").ulaw)
            await phone.hang_up("carrier_ended")
            assert [ending.reason for ending in line.log.endings] == ["bot_hangup"]
            assert line.log.turns[-1].bot_text_heard == "Goodbye and thank you."

    run(scene())


def test_a_goodbye_that_is_interrupted_is_taken_back(spoken):
    async def scene() -> None:
        agent = TestAgent(
            ["Goodbye and thank you for calling us today.", ANSWER], hears=["Goodbye.", QUESTION]
        )
        agent.mind.actions = [[EndCall("goodbye")], []]
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken("Goodbye then."))
            await phone.until(lambda: "speaking" in line.log.states)
            await asyncio.sleep(0.8)
            await phone.say(spoken("Wait, are you open on Mondays?"))
            await phone.until(lambda: len(line.log.turns) == 3)
            await asyncio.sleep(5)
            assert not phone.carrier.closed
            assert line.log.turns[2].bot_text_heard == ANSWER

    run(scene())


def test_a_brain_that_does_not_answer_is_apologised_for(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION], llm_delay_s=100)
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: phone.carrier.closed)
            assert line.log.turns[-1].bot_text_heard == "I am sorry."
            await phone.hang_up("carrier_ended")
            assert [ending.reason for ending in line.log.endings] == ["server_error"]

    run(scene())


def test_the_longest_call_ends_with_a_goodbye_whatever_the_caller_says(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION] * 9, call={"max_duration_s": 5.0})
        async with exchange(agent) as line:
            phone = await line.dial()
            phone.said += spoken(QUESTION) * 9
            await phone.until(lambda: phone.carrier.closed, 60)
            await phone.hang_up("carrier_ended")
            assert phone.carrier.heard().endswith(phrase("Our time is over now, goodbye.").ulaw)
            assert [ending.reason for ending in line.log.endings] == ["max_duration"]
            assert line.log.turns[-1].bot_text_heard == "Our time is over now, goodbye."

    run(scene())


def test_words_that_arrive_in_a_firm_goodbye_do_not_replace_it(spoken):
    """The recogniser answers only when the goodbye is being said already."""

    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION], stt_delay_s=1.0, call={"max_duration_s": 5.0})
        async with exchange(agent) as line:
            phone = await ready(line)
            clip = spoken(QUESTION)
            await asyncio.sleep(5.0 - 0.4 - len(clip) / 8000 - phone.now)
            await phone.say(clip)
            await phone.until(lambda: phone.carrier.closed, 60)
            await phone.hang_up("carrier_ended")
            assert [turn.bot_text for turn in line.log.turns] == [
                "Hello there.",
                "Our time is over now, goodbye.",
            ]
            assert [ending.reason for ending in line.log.endings] == ["max_duration"]

    run(scene())


def test_words_of_a_slow_recogniser_still_interrupt(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER, "Fine."], hears=[QUESTION, "Stop."], stt_delay_s=1.4)
        async with exchange(agent) as line:
            phone = await ready(line)
            await asked(phone, spoken)
            await asyncio.sleep(0.5)
            await phone.say(spoken("Stop."))
            await asyncio.sleep(12)
            said = [turn.bot_text for turn in line.log.turns]
            assert said[:3] == ["Hello there.", ANSWER, "Fine."]
            assert line.log.turns[1].interrupted

    run(scene())


def test_a_call_that_cannot_be_built_leaves_nothing():
    async def scene() -> None:
        agent = TestAgent([ANSWER], broken=True)
        async with exchange(agent) as line:
            with pytest.raises(RuntimeError, match="no voice"):
                await line.dial()
            for call in list(line.admission.live.values()):
                line.admission.end(call, "server_error")

    run(scene())


def test_two_calls_do_not_hear_each_other(spoken):
    async def scene() -> None:
        agent = TestAgent(["One.", "Two."], hears=["first", "second"])
        async with exchange(agent) as line:
            one, two = await line.dial(), await line.dial()
            await one.quiet()
            await one.say(spoken(QUESTION))
            await one.until(lambda: len(one.messages) == 3)
            assert len(two.carrier.heard()) == len(phrase("Hello there.").ulaw)
            assert one.messages[1:] == [("user", "first"), ("assistant", "One.")]
            assert two.messages == [("assistant", "Hello there.")]

    run(scene())


@pytest.mark.parametrize("marks", [True, False])
def test_a_carrier_without_marks_is_served_as_well(spoken, marks):
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as line:
            phone = await line.dial(marks=marks)
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].bot_text_heard == ANSWER
            assert line.log.turns[1].latency_ms.heard is not None

    run(scene())
