"""A filler masks a slow reply: once a turn, not over the caller, on record as it was heard."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from telephone import WORD_S, Exchange, Telephone, TestAgent, exchange, phrase
from virtual_time import run

from telebot.agent_settings import AgentSettings
from telebot.dialog.brain import Brain
from telebot.dialog.errors import BadAgentFile
from telebot.speech.filler import Fillers, filler_texts

pytestmark = pytest.mark.unit

QUESTION = "Are you open on Mondays?"
ANSWER = "We are open every day but Monday."
FILLER = "One moment."
AFTER_S = 0.7
FILLER_S = WORD_S * 2


def slow(delay_s: float, answers: list[str] | None = None, hears: list[str] | None = None):
    return TestAgent(
        answers or [ANSWER],
        hears=hears or [QUESTION],
        llm_delay_s=delay_s,
        speech={"filler_s": AFTER_S},
        fillers=[FILLER, "Just a moment."],
    )


async def ready(line: Exchange) -> Telephone:
    phone = await line.dial()
    await phone.quiet()
    return phone


def fillers(line: Exchange) -> int:
    return sum(event.name == "filler" for event in line.log.events)


def test_a_slow_reply_follows_its_filler_without_a_gap(spoken):
    async def scene() -> None:
        agent = slow(1.0)  # while the filler is being said
        async with exchange(agent) as line:
            phone = await ready(line)
            before = len(phone.carrier.heard())
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            turn = line.log.turns[1]
            assert turn.bot_text == turn.bot_text_heard == f"{FILLER} {ANSWER}"
            assert turn.caller_text == QUESTION
            assert not turn.interrupted
            said = phone.carrier.heard()[before:]
            assert said == phrase(FILLER).ulaw + phrase(ANSWER).ulaw
            starts = [at for at, _ in phone.carrier.played]
            gaps = [b - a for a, b in itertools.pairwise(starts)]
            assert gaps.count(max(gaps)) == 1, "none but the one before the filler"
            assert phone.messages[-1] == ("assistant", ANSWER)
            assert fillers(line) == 1
            assert agent.mind.committed == 1
            assert turn.latency_ms.heard == pytest.approx(1000 * AFTER_S, abs=500)
            assert turn.bot_offset_s is not None

    run(scene())


def test_a_quick_reply_has_none(spoken):
    async def scene() -> None:
        async with exchange(slow(0.3)) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].bot_text_heard == ANSWER
            assert fillers(line) == 0

    run(scene())


def test_a_very_slow_reply_comes_when_it_comes(spoken):
    async def scene() -> None:
        async with exchange(slow(4.0)) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            assert line.log.turns[1].bot_text_heard == f"{FILLER} {ANSWER}"
            assert fillers(line) == 1
            assert line.log.states.count("thinking") == 1

    run(scene())


def test_another_turn_has_the_next_one(spoken):
    async def scene() -> None:
        async with exchange(slow(1.5, hears=[QUESTION, QUESTION])) as line:
            phone = await ready(line)
            for number in (2, 3):
                await phone.say(spoken(QUESTION))
                await phone.until(lambda number=number: len(line.log.turns) == number)
                await phone.quiet()
            heard = [turn.bot_text_heard for turn in line.log.turns[1:]]
            assert heard == [f"{FILLER} {ANSWER}", f"Just a moment. {ANSWER}"]

    run(scene())


def test_nothing_of_a_turn_counts_until_its_reply_is_heard(spoken):
    """The caller goes on behind the filler: one turn, one filler, every word of the caller kept."""

    async def scene() -> None:
        agent = slow(3.0, [ANSWER, "Five it is."], [QUESTION, "And can I bring my dog along?"])
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: fillers(line) == 1)
            await asyncio.sleep(FILLER_S + 0.3)
            await phone.say(spoken("And can I bring my dog along with me?"))
            await phone.until(lambda: len(line.log.turns) == 3)
            cut, turn = line.log.turns[1:]
            assert (cut.caller_text, cut.bot_text_heard) == (None, FILLER)
            assert turn.caller_text == f"{QUESTION} And can I bring my dog along?"
            assert turn.bot_text_heard in (ANSWER, "Five it is.")
            assert fillers(line) == 1
            assert (agent.mind.committed, agent.mind.discarded) == (1, 1)
            assert [role for role, _ in phone.messages] == ["assistant", "user", "assistant"]

    run(scene())


def test_an_interruption_in_the_filler_stops_it(spoken):
    async def scene() -> None:
        agent = slow(5.0, [ANSWER, "Fine."], [QUESTION, "Stop, I know that."])
        agent.fillers = ["One moment please, I am looking it up for you right now."]
        agent.__post_init__()
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: fillers(line) == 1)
            await asyncio.sleep(0.3)
            await phone.say(spoken("Stop, I know that already, thank you."))
            await phone.until(lambda: len(line.log.turns) >= 2)
            turn = line.log.turns[1]
            assert turn.interrupted
            assert 0 < len(turn.bot_text_heard.split()) < 9
            assert agent.fillers[0].startswith(turn.bot_text_heard)
            assert phone.carrier.clears

    run(scene())


def test_a_hum_in_the_filler_gives_it_back(spoken):
    async def scene() -> None:
        agent = slow(2.5, hears=[QUESTION, ""])
        agent.fillers = ["One moment please, I am looking it up for you right now."]
        agent.__post_init__()
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: fillers(line) == 1)
            await asyncio.sleep(0.4)
            await phone.say(spoken("Mm-hmm.")[:4000])
            await phone.until(lambda: len(line.log.turns) == 2)
            turn = line.log.turns[1]
            assert turn.bot_text_heard == f"{agent.fillers[0]} {ANSWER}"
            assert not turn.interrupted

    run(scene())


def test_none_is_said_over_the_caller(spoken):
    async def scene() -> None:
        agent = slow(6.0, hears=[QUESTION, "Well, let me think about that for a while."])
        async with exchange(agent) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: line.log.states[-1] == "thinking")
            began, end = await phone.say(
                spoken("Well, let me think about all of that for a little while longer.")
            )
            assert fillers(line) == 0
            await phone.until(lambda: fillers(line) == 1)
            assert phone.bot_from(began) > end

    run(scene())


def test_a_reply_that_never_comes_ends_as_without_one(spoken):
    async def scene() -> None:
        async with exchange(slow(100.0)) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: bool(phone.carrier.closed), within_s=60)
            heard = [turn.bot_text_heard for turn in line.log.turns]
            assert heard == ["Hello there.", FILLER, "I am sorry."]

    run(scene())


def test_a_reply_without_a_word_leaves_the_filler_on_record(spoken):
    async def scene() -> None:
        async with exchange(slow(0.9, [""])) as line:
            phone = await ready(line)
            await phone.say(spoken(QUESTION))
            await phone.until(lambda: len(line.log.turns) == 2)
            turn = line.log.turns[1]
            assert (turn.caller_text, turn.bot_text_heard) == (QUESTION, FILLER)
            assert line.log.states[-1] == "listening"

    run(scene())


# --- where they come from ----------------------------------------------------------------------


def settings_of(**speech: object) -> AgentSettings:
    return AgentSettings.model_validate(
        {"agent": {"name": "desk"}, "speech": speech, "path": Path("desk.yaml")}
    )


def test_only_an_agent_that_wants_them_has_any() -> None:
    assert filler_texts(settings_of(), ["One moment."]) == {}
    assert Fillers.of(settings_of(), {"filler_0": phrase("One moment.")}) is None
    assert filler_texts(settings_of(filler_s=1), ["A.", "B."]) == {
        "filler_0": "A.",
        "filler_1": "B.",
    }


def brain_of(folder: Path, fillers: str) -> Brain:
    path = folder / "desk.yaml"
    path.write_text(f"facts: {{name: Corner}}\nphrases:\n  greeting: Hello.\n{fillers}")
    return Brain.load(path)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("", ("One moment.", "Just a moment, please.")),
        ('  fillers: "Let me see."\n', ("Let me see.",)),
        ('  fillers: ["Let me see.", "{facts.name} is looking."]\n',
         ("Let me see.", "Corner is looking.")),
    ],
)  # fmt: skip
def test_a_file_has_one_or_several(tmp_path: Path, written: str, read: tuple[str, ...]) -> None:
    brain = brain_of(tmp_path, written)
    assert brain.fillers() == read
    assert "fillers" not in brain.phrases()


@pytest.mark.parametrize(
    "written", ["  fillers: []\n", "  fillers: [1]\n", "  fillers: ['{who}']\n"]
)
def test_a_wrong_one_is_told_with_its_line(tmp_path: Path, written: str) -> None:
    with pytest.raises(BadAgentFile, match=r"desk\.yaml:4"):
        brain_of(tmp_path, written)
