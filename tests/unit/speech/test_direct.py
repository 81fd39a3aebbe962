"""A direct session whose vendors come and go."""

from __future__ import annotations

import asyncio

import pytest
from direct_house import SECOND, House, Vendor, link
from virtual_time import run

from telebot.call.errors import ProviderError
from telebot.providers.direct import (
    CallerStarts,
    CallerText,
    Manner,
    ReplyAudio,
    ReplyEnds,
    ReplyStarts,
    ReplyText,
    Used,
)
from telebot.speech.direct import Direct
from telebot.speech.direct_vendors import NobodyLeft

pytestmark = pytest.mark.unit

LOST = ProviderError("gone")


def answers(vendor: Vendor, text: str = "At noon.") -> None:
    """One second of it."""
    for event in (ReplyStarts(), ReplyText(text), ReplyAudio(SECOND), ReplyEnds()):
        vendor.says.put_nowait(event)


def test_one_that_breaks_off_unheard_has_its_question_asked_again() -> None:
    async def story() -> None:
        house, first, second = House(), Vendor(), Vendor()
        links = [link("a/1", first), link("b/1", second)]
        direct = await Direct.begun(links, Manner(), house.outside)
        await direct.say("When are you open?")
        first.says.put_nowait(LOST)
        await asyncio.sleep(0.1)
        assert direct.provider == "b/1"
        assert second.told == [("open", []), ("say", "When are you open?")]
        answers(second)
        second.says.put_nowait(Used(3, "tokens"))
        await asyncio.sleep(1.5)
        await direct.close()
        await direct.close()
        assert [turn.bot_text_heard for turn in house.log.turns] == ["At noon."]
        assert [use.provider for use in house.log.uses] == ["b/1"]
        assert not first.open_now
        assert not second.open_now

    run(story())


def test_one_that_has_answered_is_opened_again_and_told_what_was_said() -> None:
    async def story() -> None:
        house, first, again = House(), Vendor(), Vendor()
        direct = await Direct.begun([link("a/1", first, again)], Manner(), house.outside)
        await direct.say("When?")
        answers(first)
        await asyncio.sleep(1.5)
        first.says.put_nowait(LOST)
        await asyncio.sleep(0.1)
        said = [{"role": "user", "content": "When?"}, {"role": "assistant", "content": "At noon."}]
        assert again.told == [("open", said)]
        # it has not answered: the session is over
        again.says.put_nowait(LOST)
        await asyncio.sleep(0.1)
        assert house.ended == ["server_error"]
        assert house.log.events[-1] == ("no_provider", {"kind": "realtime"})
        await direct.hear(bytes(960))
        await direct.close()

    run(story())


def test_speech_over_an_answer_is_told_to_the_vendor() -> None:
    async def story() -> None:
        house, vendor = House(), Vendor()
        direct = await Direct.begun([link("a/1", vendor)], Manner(), house.outside)
        await direct.say("When?")
        answers(vendor)
        await asyncio.sleep(0.5)
        vendor.says.put_nowait(CallerStarts())
        await asyncio.sleep(0.1)
        assert vendor.told[-2:] == [("cut", 0.5), ("tell cut", None)]
        assert [turn.interrupted for turn in house.log.turns] == [True]
        await direct.close()

    run(story())


def test_an_answer_that_begins_in_the_same_moment_is_not_the_one_that_was_cut() -> None:
    """The vendor has sent all of this before anything of it is read."""

    class Busy(Vendor):
        def cut(self, heard_s: float) -> None:
            super().cut(heard_s)
            self.told.append(("not read yet", self.says.qsize()))

    async def story() -> None:
        house, vendor = House(), Busy()
        direct = await Direct.begun([link("a/1", vendor)], Manner(), house.outside)
        await direct.say("When?")
        answers(vendor)
        await asyncio.sleep(0.5)
        vendor.says.put_nowait(CallerStarts())
        vendor.says.put_nowait(CallerText("And where?", final=True))
        answers(vendor, "In the park.")
        await asyncio.sleep(2)
        assert vendor.told[-3:] == [("cut", 0.5), ("not read yet", 5), ("tell cut", None)]
        assert [turn.interrupted for turn in house.log.turns] == [True, False]
        assert direct._turns.history[-1] == {"role": "assistant", "content": "In the park."}
        await direct.close()

    run(story())


def test_a_move_that_nobody_can_take_leaves_the_session_as_it_was() -> None:
    async def story() -> None:
        house, vendor, other = House(), Vendor(), Vendor()
        direct = await Direct.begun([link("a/1", vendor)], Manner(), house.outside)
        with pytest.raises(NobodyLeft):
            await direct.move([link("b/1", Vendor(refuses=LOST))])
        assert direct.provider == "a/1"
        await direct.say("When?")
        answers(vendor)
        await asyncio.sleep(1.5)
        await direct.move([link("c/1", other)])
        assert direct.provider == "c/1"
        assert len(other.told[0][1]) == 2
        assert not vendor.open_now
        # the old one's end is nothing to the new one
        await asyncio.sleep(0.1)
        assert (direct.provider, other.open_now) == ("c/1", True)
        await direct.change(Manner(language="de-DE"))
        assert other.told[-1] == ("change", "de-DE")
        await direct.close()

    run(story())


def test_one_that_breaks_off_while_another_takes_its_place_takes_nobody_along() -> None:
    class Slow(Vendor):
        async def open(self, manner: Manner, history: object) -> None:
            await asyncio.sleep(1.0)
            await super().open(manner, ())

    async def story() -> None:
        house, vendor, slow = House(), Vendor(), Slow()
        direct = await Direct.begun([link("a/1", vendor)], Manner(), house.outside)
        moving = asyncio.create_task(direct.move([link("b/1", slow)]))
        await asyncio.sleep(0.5)
        vendor.says.put_nowait(LOST)
        await moving
        await asyncio.sleep(0.1)
        assert (direct.provider, slow.open_now) == ("b/1", True)
        assert house.ended == []
        await direct.close()

    run(story())


def test_a_reset_forgets_what_was_said() -> None:
    async def story() -> None:
        house, first, anew = House(), Vendor(), Vendor()
        direct = await Direct.begun([link("a/1", first, anew)], Manner(), house.outside)
        await direct.say("When?")
        answers(first)
        await asyncio.sleep(1.5)
        await direct.reset()
        assert anew.told == [("open", [])]
        await direct.close()

    run(story())


def test_nobody_at_all_is_said_at_once() -> None:
    async def story() -> None:
        with pytest.raises(NobodyLeft):
            await Direct.begun([link("a/1", Vendor(refuses=LOST))], Manner(), House().outside)

    run(story())
