"""Two links asked at a time: whoever speaks first is taken. On a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
from virtual_time import run

from telebot.providers.chain import LinkFailed
from telebot.providers.failure import Cause, Failure
from telebot.providers.hedge import Race

pytestmark = pytest.mark.unit

SLOW = Failure(Cause.SLOW_FIRST)


@dataclass
class Links:
    """What each link does: after how long it speaks, or fails."""

    speaks: dict[str, float]
    fails: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, float]] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    hushed: list[str] = field(default_factory=list)

    async def ask(self, port: Any) -> str:
        self.asked.append((port, asyncio.get_running_loop().time() - 1000))
        if port in self.fails:
            await asyncio.sleep(self.fails[port])
            raise LinkFailed(SLOW)
        await asyncio.sleep(self.speaks[port])
        return str(port)

    async def give_up(self, port: Any, failure: Failure) -> None:
        assert failure is SLOW
        self.given_up.append(port)

    async def hush(self, port: Any) -> None:
        self.hushed.append(port)

    def race(self) -> Race[str]:
        return Race(self.ask, self.give_up, self.hush)


def raced(links: Links, after_s: float | None = 0.5, ports: Any = ("a", "b")) -> tuple[Any, float]:
    """Who was taken, and when."""

    async def scene() -> tuple[Any, float]:
        taken = await links.race().run(ports, after_s)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return taken, asyncio.get_running_loop().time() - 1000

    return run(scene())


def test_a_quick_link_is_asked_alone() -> None:
    links = Links({"a": 0.4, "b": 0.0})
    assert raced(links) == ("a", pytest.approx(0.4))
    assert links.asked == [("a", 0.0)]
    assert links.hushed == links.given_up == []


def test_the_second_is_asked_when_the_time_has_come_and_is_taken_where_it_speaks_first() -> None:
    links = Links({"a": 2.0, "b": 0.2})
    assert raced(links) == ("b", pytest.approx(0.7))
    assert links.asked == [("a", 0.0), ("b", 0.5)]
    assert (links.hushed, links.given_up) == (["a"], [])


def test_the_first_is_taken_where_it_speaks_first_after_all() -> None:
    links = Links({"a": 0.6, "b": 0.2})
    assert raced(links) == ("a", pytest.approx(0.6))
    assert (links.hushed, links.given_up) == (["b"], [])


def test_of_two_that_speak_at_once_the_first_is_taken() -> None:
    links = Links({"a": 0.75, "b": 0.25})
    assert raced(links)[0] == "a"
    assert links.hushed == ["b"]


def test_a_first_that_fails_early_leaves_the_second_to_the_chain() -> None:
    links = Links({"b": 0.1}, fails={"a": 0.1})
    assert raced(links) == (None, pytest.approx(0.1))
    assert (links.asked, links.given_up) == ([("a", 0.0)], ["a"])


def test_a_first_that_passes_its_own_deadline_is_charged_and_the_second_taken() -> None:
    links = Links({"b": 1.0}, fails={"a": 0.9})
    assert raced(links) == ("b", pytest.approx(1.5))
    assert (links.hushed, links.given_up) == ([], ["a"])


def test_a_second_that_fails_leaves_the_first_alone() -> None:
    links = Links({"a": 0.8}, fails={"b": 0.1})
    assert raced(links) == ("a", pytest.approx(0.8))
    assert (links.hushed, links.given_up) == ([], ["b"])


def test_both_may_fail() -> None:
    links = Links({}, fails={"a": 0.9, "b": 0.9})
    assert raced(links) == (None, pytest.approx(1.4))
    assert links.given_up == ["a", "b"]


@pytest.mark.parametrize("ports", [("a",), ("a", "b")])
def test_without_a_time_or_a_second_it_is_one_question(ports: Any) -> None:
    links = Links({"a": 5.0, "b": 0.0})
    assert raced(links, None, ports) == ("a", pytest.approx(5.0))
    assert raced(Links({"a": 5.0}), 0.5, ("a",)) == ("a", pytest.approx(5.0))


@pytest.mark.parametrize(("after_s", "hushed"), [(0.2, ["a"]), (0.6, ["a", "b"])])
def test_an_interruption_hushes_everybody(after_s: float, hushed: list[str]) -> None:
    links = Links({"a": 2.0, "b": 2.0})

    async def scene() -> None:
        race = asyncio.create_task(links.race().run(("a", "b"), 0.5))  # type: ignore[arg-type]
        await asyncio.sleep(after_s)
        race.cancel()
        with pytest.raises(asyncio.CancelledError):
            await race
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run(scene())
    assert (links.hushed, links.given_up) == (hushed, [])


def test_another_fault_is_nobodys_failure() -> None:
    links = Links({})

    async def scene() -> None:
        with pytest.raises(KeyError):
            await links.race().run(("a", "b"), 0.5)  # type: ignore[arg-type]

    work: Callable[[], Coroutine[Any, Any, None]] = scene
    run(work())
    assert links.given_up == []
