"""Conversations with a client that writes, on a virtual clock: explained like spoken ones."""

from __future__ import annotations

import asyncio

import pytest
from sounds import sounding
from telephone import Exchange, Telephone, TestAgent, exchange
from virtual_time import run

from telebot.speech.assembly import Follows

pytestmark = pytest.mark.unit

ANSWER = "We are open from noon to ten every day but Monday and we have a car park too."
QUESTION = "Are you open on Mondays?"


class Nobody:
    """Listens to nothing."""

    def state(self, *_: object) -> None: ...
    def partial(self, *_: object) -> None: ...
    def transcript(self, *_: object) -> None: ...
    def reply(self, *_: object) -> None: ...
    def turn(self, *_: object) -> None: ...
    def event(self, *_: object) -> None: ...


async def typing(line: Exchange, agent: TestAgent) -> Telephone:
    """A client that sends no audio, after the greeting."""
    now = asyncio.get_running_loop().time()
    phone = await line.dial(follows=Follows(agent, Nobody(), now))  # type: ignore[arg-type]
    await phone.quiet()
    return phone


def test_without_a_sound_of_the_callers_everything_lies_where_it_was():
    async def scene() -> None:
        agent = TestAgent([ANSWER])
        async with exchange(agent) as line:
            phone = await typing(line, agent)
            await asyncio.sleep(3)
            wrote = phone.now
            phone.conversation.caller.write(QUESTION)
            await asyncio.sleep(0.5)
            await phone.quiet()
            greeting, turn = line.log.turns
            assert greeting.bot_offset_s == pytest.approx(0.0, abs=0.05)
            assert turn.caller_text == QUESTION
            assert turn.caller_offset_s == pytest.approx(wrote, abs=0.01)
            heard = phone.bot_from(wrote)
            assert turn.bot_offset_s == pytest.approx(heard, abs=0.05)
            assert turn.latency_ms.heard == pytest.approx((heard - wrote) * 1000, abs=50)
            assert turn.latency_ms.endpointing == 0.0
            assert turn.latency_ms.stt is None, "nothing was recognised"
            offsets = [event.offset_s for event in line.log.events]
            assert offsets == sorted(offsets)
            assert offsets[-1] > wrote
            timeline = phone.tape.bot_timeline(round(phone.now * 8000))
            first, _ = sounding(timeline[round(wrote * 8000) :])
            assert wrote + first / 8000 == pytest.approx(heard, abs=0.1)

    run(scene())


def test_a_written_turn_after_a_spoken_one_has_its_own_times(spoken):
    async def scene() -> None:
        agent = TestAgent([ANSWER], hears=[QUESTION])
        async with exchange(agent) as line:
            phone = await line.dial()
            await phone.quiet()
            await phone.say(spoken(QUESTION))
            await phone.quiet()
            await asyncio.sleep(2)
            wrote = phone.now
            phone.conversation.caller.write("And on Tuesdays?")
            await asyncio.sleep(0.5)
            await phone.quiet()
            said, written = line.log.turns[1:]
            assert said.latency_ms.stt is not None
            assert written.latency_ms.heard < 1000
            assert written.latency_ms.stt is None
            assert written.caller_offset_s == pytest.approx(wrote, abs=0.1)

    run(scene())
