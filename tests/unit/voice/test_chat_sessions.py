"""Conversations between their turns: whose they are, how many there may be, until when."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from telebot.call.errors import ApiError
from telebot.providers.replies import Message
from telebot.voice.chat_history import Bound, question_of, summary_of
from telebot.voice.chat_sessions import MemorySessions, Session

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def session(id: str, owner: str = "me", turns: int = 1) -> Session:
    return Session(id, owner, NOW, turns=turns)


def kept(**limits) -> tuple[MemorySessions, Clock]:
    clock = Clock()
    usual = {"idle_s": 60.0, "per_owner": 3, "most": 10}
    return MemorySessions(clock, **{**usual, **limits}), clock


async def ids(sessions: MemorySessions, owner: str = "me") -> list[str]:
    return [each.id for each, _ in await sessions.all(owner)]


async def test_one_that_is_not_used_is_forgotten():
    sessions, clock = kept()
    await sessions.put(session("a"))
    clock.now += 50
    await sessions.put(session("b"))
    assert [round(left) for _, left in await sessions.all("me")] == [60, 10]
    clock.now += 20
    assert await ids(sessions) == ["b"]
    with pytest.raises(ApiError, match="no such session"):
        await sessions.take("me", "a")


async def test_the_least_recently_used_of_ones_own_gives_way():
    sessions, clock = kept()
    for id in "abc":
        clock.now += 1
        await sessions.put(session(id))
    await sessions.give_back(await sessions.take("me", "a"))
    await sessions.put(session("d"))
    assert await ids(sessions) == ["d", "a", "c"]


async def test_whoever_has_most_loses_when_there_are_too_many_in_all():
    sessions, _ = kept(most=4)
    await sessions.put(session("x", "other"))
    for id in "abc":
        await sessions.put(session(id))
    await sessions.put(session("y", "other"))
    assert await ids(sessions, "other") == ["y", "x"]
    assert await ids(sessions) == ["c", "b"]


async def test_one_in_use_is_not_given_to_a_second_turn_and_does_not_give_way():
    sessions, clock = kept(per_owner=2)
    await sessions.put(session("a"))
    taken = await sessions.take("me", "a")
    with pytest.raises(ApiError) as raised:
        await sessions.take("me", "a")
    assert (raised.value.status, raised.value.code) == (409, "session_busy")
    clock.now += 1
    await sessions.put(session("b"))
    await sessions.put(session("c"))
    assert await ids(sessions) == ["c", "a"]
    await sessions.put(replace(taken, turns=2))
    assert (await sessions.take("me", "a")).turns == 2


async def test_what_was_deleted_in_mid_turn_does_not_come_back():
    sessions, _ = kept()
    await sessions.put(session("a"))
    taken = await sessions.take("me", "a")
    assert await sessions.drop("me", "a")
    await sessions.put(replace(taken, turns=2))
    await sessions.give_back(taken)
    assert await ids(sessions) == []
    assert not await sessions.drop("me", "a")


async def test_nobody_takes_or_drops_anothers():
    sessions, _ = kept()
    await sessions.put(session("a"))
    with pytest.raises(ApiError):
        await sessions.take("other", "a")
    assert not await sessions.drop("other", "a")
    assert await ids(sessions) == ["a"]


async def test_a_forgotten_user_leaves_none_of_theirs():
    sessions, _ = kept()
    for id, user in (("a", "anna"), ("b", "ben"), ("c", "anna")):
        await sessions.put(replace(session(id), user=user))
    await sessions.put(replace(session("d", owner="other"), user="anna"))
    assert await sessions.forget("me", "anna") == 2
    assert (await ids(sessions), await ids(sessions, "other")) == (["b"], ["d"])
    assert await sessions.forget("me", "anna") == 0


def talked(*turns: str) -> Session:
    said = tuple(
        message for turn in turns for message in (Message("user", turn), Message("assistant", turn))
    )
    return Session("a", "me", NOW, said=said, turns=len(turns))


def test_old_turns_leave_whole_and_the_last_one_stays():
    bound = Bound(100)
    assert bound.old(talked("a" * 20, "b" * 20)) == ()
    long = talked("a" * 20, "b" * 20, "c" * 20)
    assert [message.text[0] for message in bound.old(long)] == ["a", "a", "b", "b"]
    short = bound.summed_up(long, " They said a and b. ")
    assert short.summary == "They said a and b."
    assert [message.text[0] for message in short.said] == ["c", "c"]
    huge = talked("a" * 500)
    assert bound.old(huge) == ()
    assert bound.shortened(huge).said == huge.said


def test_without_a_summary_nothing_leaves_until_there_is_no_room():
    bound = Bound(100)
    assert bound.shortened(talked("a" * 30, "b" * 30)).turns == 2
    assert len(bound.shortened(talked("a" * 30, "b" * 30)).said) == 4
    assert len(bound.shortened(talked("a" * 60, "b" * 60)).said) == 2


def test_a_summary_is_summed_up_with_what_came_after_it():
    before = replace(talked("I am Anna."), summary="She wants a table.")
    question = summary_of(before, before.said)
    assert "Earlier, in short: She wants a table.\nUser: I am Anna." in question.messages[1].text
    asked = question_of(before, "When?", "Be brief.", most_tokens=10, temperature=None)
    assert asked.instructions.startswith("Be brief.\n\nThis was said earlier")
    assert [message.role for message in asked.turns] == ["user", "assistant", "user"]
