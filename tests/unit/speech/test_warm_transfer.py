"""A caller is put through, spoken, on a virtual clock: music meanwhile, and what comes after it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from telephone import TestAgent, exchange, phrase
from virtual_time import run

from telebot.audio.music import loop
from telebot.call.errors import NotReached
from telebot.dialog.actions import Record, Transfer
from telebot.speech.transfers import Ways

pytestmark = pytest.mark.unit

STAFF = Transfer("+442079460018", warm=True)
ANSWER = "One moment please."
ASKED = "Put me through to somebody."


@dataclass
class Person:
    """Whom the carrier rings up."""

    answers_s: float | None
    told_s: float = 2.0
    refuses: str = ""
    summary: str = ""
    let_go: bool = False
    rung: list[str] = field(default_factory=list)

    async def ring_up(
        self, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        self.summary = summary
        self.rung.append(to)
        try:
            async with asyncio.timeout(within_s):
                await asyncio.sleep(3600.0 if self.answers_s is None else self.answers_s)
            if self.refuses:
                raise NotReached(self.refuses)
            answered()
            await asyncio.sleep(self.told_s)
        except TimeoutError:
            raise NotReached("no_answer") from None
        except asyncio.CancelledError:
            self.let_go = True
            raise

    @property
    def ways(self) -> Ways:
        return Ways(None, self.ring_up, lambda _: True, 30.0)


def agent() -> TestAgent:
    made = TestAgent([ANSWER], hears=[ASKED])
    made.mind.actions = [[Record("booking", {"party_size": 4}), STAFF]]
    return made


def events(line, *names):
    return [
        (event.name, event.fields.get("reason", "")) for event in line.log.events
        if event.name in names
    ]  # fmt: skip


TOLD = ("transfer_begun", "transfer_answered", "transfer_failed")


async def until_music(phone, spoken):
    await phone.quiet()
    await phone.say(spoken(ASKED))
    await phone.until(lambda: phone.conversation.closing.firm)


def test_the_caller_hears_music_until_the_person_is_there(spoken):
    person = Person(20.0)

    async def scene() -> None:
        async with exchange(agent(), ways=person.ways) as line:
            phone = await line.dial()
            await until_music(phone, spoken)
            voice = phone.conversation.parts.voice
            await asyncio.sleep(15.0)  # past the end of the loop
            assert voice.queued - voice.played() < 2 * 8000, "no more than a second lies ready"
            heard = phone.carrier.heard()
            announced = phrase("Hello there.").ulaw + phrase(ANSWER).ulaw
            assert heard.startswith(announced)
            music = heard[len(announced) :]
            assert len(music) > 14 * 8000, "without a gap"
            assert music == (loop() * 2)[: len(music)]
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up()
            assert [ending.reason for ending in line.log.endings] == ["transferred"]
            assert events(line, *TOLD) == [("transfer_begun", ""), ("transfer_answered", "")]
            assert line.log.states[-2:] == ["transferring", "ended"]

    run(scene())
    assert person.rung == [STAFF.to]
    assert person.summary == f"Notes: A booking: party size four. Said: {ASKED}"


@pytest.mark.parametrize(
    ("person", "reason"),
    [(Person(None), "no_answer"), (Person(4.0, refuses="busy"), "busy")],
    ids=["no answer", "busy"],
)
def test_where_nobody_comes_the_conversation_goes_on(spoken, person, reason):
    async def scene() -> None:
        made = agent()
        made.hears.append("Are you open?")
        made.answers[:] = [ANSWER, "We are open."]
        async with exchange(made, ways=person.ways) as line:
            phone = await line.dial()
            await until_music(phone, spoken)
            await phone.until(lambda: not phone.conversation.closing.firm, 40.0)
            await phone.quiet()
            assert phone.carrier.heard().endswith(phrase("Nobody is there.").ulaw)
            assert phone.carrier.clears, "the music stopped at once"
            await phone.say(spoken("Are you open?"))
            await phone.until(lambda: len(line.log.turns) == 4)
            assert line.log.turns[3].bot_text_heard == "We are open."
            assert events(line, *TOLD) == [("transfer_begun", ""), ("transfer_failed", reason)]
            assert "transferring" in line.log.states

    run(scene())


def test_who_speaks_over_the_music_does_not_stop_it(spoken):
    person = Person(12.0)

    async def scene() -> None:
        async with exchange(agent(), ways=person.ways) as line:
            phone = await line.dial()
            await until_music(phone, spoken)
            clears = len(phone.carrier.clears)
            await phone.say(spoken("Hello, is anybody there?"))
            await asyncio.sleep(2.0)
            assert len(phone.carrier.clears) == clears
            assert max(phone.carrier.gaps[-50:]) == 0.0
            await phone.until(lambda: phone.carrier.closed)
            await phone.hang_up()
            assert [ending.reason for ending in line.log.endings] == ["transferred"]

    run(scene())


def test_a_caller_who_gives_up_leaves_nobody_ringing(spoken):
    person = Person(20.0)

    async def scene() -> None:
        async with exchange(agent(), ways=person.ways) as line:
            phone = await line.dial()
            await until_music(phone, spoken)
            await asyncio.sleep(3.0)
            await phone.hang_up()
            assert [ending.reason for ending in line.log.endings] == ["caller_hangup"]
            assert events(line, *TOLD)[-1] == ("transfer_failed", "given_up")

    run(scene())
    assert person.let_go


def test_a_stream_that_ends_because_the_caller_was_put_through(spoken):
    person = Person(5.0, told_s=4.0)

    async def scene() -> None:
        async with exchange(agent(), ways=person.ways) as line:
            phone = await line.dial()
            await until_music(phone, spoken)
            await phone.until(lambda: phone.conversation.closing._transfers.decided)
            await asyncio.sleep(1.0)
            await phone.hang_up()
            assert [ending.reason for ending in line.log.endings] == ["transferred"]

    run(scene())
    assert not person.let_go
