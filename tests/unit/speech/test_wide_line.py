"""A conversation on a wide line is the same conversation: the same turns and words at the same
moments, in a better sound."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from band import above_db
from telephone import Exchange, Telephone, TestAgent, exchange, phrase
from virtual_time import run

from telebot.audio.line import PCM_24K, PHONE, WIDE, Line
from telebot.audio.resample import resample

pytestmark = pytest.mark.unit

ANSWER = "We are open from noon to ten every day but Monday and we have a car park too."
QUESTION = "Are you open on Mondays?"
OVER = "Actually, make it five people on Friday."
FRAME_S = 0.02


def on(line: Line, ulaw: bytes) -> bytes:
    """A clip as a line hears it."""
    if line is PHONE:
        return ulaw
    pcm16 = resample(PHONE.hears.to_pcm(ulaw), PHONE.hears.rate_hz, line.hears.rate_hz)
    whole = len(pcm16) - len(pcm16) % line.hears.bytes_a_tick
    return line.hears.from_pcm(pcm16[:whole])


async def ready(exchange_: Exchange, line: Line) -> Telephone:
    phone = await exchange_.dial(line)
    await phone.quiet()
    return phone


def test_the_greeting_is_the_wide_one() -> None:
    async def scene() -> None:
        agent = TestAgent([ANSWER])
        hiss = np.random.default_rng(3).integers(-4000, 4000, 24_000, np.int16).tobytes()
        agent.phrases["greeting"].wide = hiss
        async with exchange(agent) as calls:
            phone = await ready(calls, WIDE)
            assert phone.carrier.heard() == hiss
            (turn,) = calls.log.turns
            assert turn.bot_text_heard == "Hello there."
            narrow = await ready(calls, PHONE)
            assert narrow.carrier.heard() == phrase("Hello there.").ulaw

    run(scene())


def test_a_phrase_that_has_no_wide_form_is_widened() -> None:
    one = phrase("Hello there.")
    wide = one.audio(PCM_24K)
    assert PCM_24K.ticks(wide) == len(one.ulaw)
    assert above_db(wide, 24_000) < -40


@pytest.mark.parametrize("after_s", [0.8, 2.6])
def test_an_interruption_is_the_same_to_the_word(
    spoken: Callable[[str], bytes], after_s: float
) -> None:
    async def scene(line: Line) -> tuple[list[tuple[str | None, str, str, bool]], float, float]:
        agent = TestAgent([ANSWER, "Five it is."], hears=[QUESTION, "Actually, make it five."])
        async with exchange(agent) as calls:
            phone = await ready(calls, line)
            _, end = await phone.say(on(line, spoken(QUESTION)))
            await phone.until(lambda: phone.conversation.parts.voice.talking)
            await asyncio.sleep(0.1)
            begins = phone.bot_from(end - 0.5)
            await asyncio.sleep(after_s)
            onset, _ = await phone.say(on(line, spoken(OVER)))
            await phone.until(lambda: len(calls.log.turns) == 3)
            cleared = phone.carrier.clears[0] - phone.carrier.began
            told = [
                (turn.caller_text, turn.bot_text, turn.bot_text_heard, turn.interrupted)
                for turn in calls.log.turns
            ]
            return told, cleared - onset, begins - end

    (wide, cleared_s, began_s), (narrow, usual_s, usually_s) = run(scene(WIDE)), run(scene(PHONE))
    assert wide[1][3], "it was interrupted"
    assert abs(len(wide[1][2].split()) - len(narrow[1][2].split())) <= 1
    assert [turn[0] for turn in wide] == [turn[0] for turn in narrow]
    assert cleared_s == pytest.approx(usual_s, abs=5 * FRAME_S)
    assert began_s == pytest.approx(usually_s, abs=5 * FRAME_S)


def test_a_nod_is_not_an_interruption_and_nothing_is_lost(spoken: Callable[[str], bytes]) -> None:
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION, "Yes."])
        async with exchange(agent) as calls:
            phone = await ready(calls, WIDE)
            await phone.say(on(WIDE, spoken(QUESTION)))
            await phone.until(lambda: phone.conversation.parts.voice.talking)
            await asyncio.sleep(1.0)
            await phone.say(on(WIDE, spoken("Yes.")))
            await phone.until(lambda: len(calls.log.turns) == 2)
            turn = calls.log.turns[1]
            assert not turn.interrupted
            assert turn.bot_text_heard == ANSWER

    run(scene())


def test_the_recording_has_both_in_the_lines_own_form(spoken: Callable[[str], bytes]) -> None:
    async def scene() -> None:
        async with exchange(TestAgent([ANSWER], hears=[QUESTION])) as calls:
            phone = await ready(calls, WIDE)
            clip = on(WIDE, spoken(QUESTION))
            await phone.say(clip)
            await phone.until(lambda: len(calls.log.turns) == 2)
            await phone.hang_up()
            heard, ends_at = b"", 0
            for at, audio in phone.tape.caller_parts:
                assert at == ends_at, "in ticks, without a gap"
                ends_at = at + WIDE.hears.ticks(audio)
                heard += audio
            assert clip in heard
            ticks = [at for at, _ in phone.tape.bot_parts]
            ends = [at + WIDE.says.ticks(audio) for at, audio in phone.tape.bot_parts]
            assert all(end <= next_ for end, next_ in zip(ends, ticks[1:], strict=False))

    run(scene())
