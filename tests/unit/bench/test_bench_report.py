from collections.abc import Callable
from typing import Any

import pytest

from bench.cpu_profile import read_folded
from bench.run import Ladder, carried, climb, usable
from bench.steps import broken, less_waits, missed

pytestmark = pytest.mark.unit


def step(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "calls": 100,
        "calls_up_at_end": 100,
        "response_ms": {"n": 50, "p50": 25.0, "p95": 45.0},
        "thin": 0.001,
        "gaps_over_60_ms": 0.8,
        "mean_piece_ms": 100.0,
        "starvation_ms": {"n": 0},
        "counts": {"utterances": 500},
        "load": {"cpu_share": 0.3, "lag_ms": {"n": 9, "p99": 2.0}},
    }
    made = {**good, **changes}
    made["missed"] = missed(made)
    return made


def test_a_good_step_misses_nothing() -> None:
    assert step()["missed"] == []


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"response_ms": {"n": 9, "p50": 9.0, "p95": 51.0}}, "response"),
        ({"thin": 0.02}, "gaps 2.0%"),
        ({"mean_piece_ms": 20.0, "gaps_over_60_ms": 0.03}, "gaps 3.0%"),
        ({"starvation_ms": {"n": 3, "max": 9.0}}, "starvations"),
        ({"calls_up_at_end": 99}, "lost"),
        ({"counts": {"utterances": 500, "unanswered": 6}}, "unanswered"),
        ({"load": {"cpu_share": 0.95, "lag_ms": {"n": 0}}}, "load was the limit"),
        ({"load": {"cpu_share": 0.1, "lag_ms": {"n": 5, "p99": 30.0}}}, "load was the limit"),
    ],
)
def test_each_condition_is_named_once(changes: dict[str, Any], word: str) -> None:
    assert [word in fault for fault in step(**changes)["missed"]] == [True]


def test_a_late_answer_alone_is_still_usable() -> None:
    assert broken(step(response_ms={"n": 9, "p50": 200.0, "p95": 400.0})) == []


def test_capacity_is_the_most_calls_that_passed() -> None:
    late = {"n": 9, "p50": 60.0, "p95": 80.0}
    steps = [
        step(),
        step(calls=200, calls_up_at_end=200, response_ms=late),
        step(calls=300, calls_up_at_end=290, response_ms=late),
    ]
    assert (carried(steps), usable(steps)) == (100, 200)
    assert (carried([]), usable([])) == (0, 0)


def fails_from(limit: int, **how: Any) -> Callable[[int], dict[str, Any]]:
    """Steps of a server that misses something from `limit` calls on."""

    def made(calls: int) -> dict[str, Any]:
        return step(calls=calls, calls_up_at_end=calls, **(how if calls >= limit else {}))

    return made


LATE = {"response_ms": {"n": 9, "p50": 60.0, "p95": 80.0}}


def test_a_ladder_is_climbed_to_its_end_while_it_is_usable() -> None:
    steps = climb(Ladder("x", (1, 10, 20)), fails_from(10, **LATE))
    assert [s["calls"] for s in steps] == [1, 10, 20]


def test_a_ladder_ends_where_it_breaks() -> None:
    stutter = {"mean_piece_ms": 20.0, "gaps_over_60_ms": 0.2}
    steps = climb(Ladder("x", (1, 10, 20)), fails_from(10, **stutter))
    assert [s["calls"] for s in steps] == [1, 10]


@pytest.mark.parametrize(
    ("limit", "halvings", "capacity"),
    [(150, 1, 100), (160, 1, 150), (250, 1, 200), (160, 2, 150), (190, 2, 175), (80, 2, 75)],
)
def test_a_refined_ladder_tries_the_middle(limit: int, halvings: int, capacity: int) -> None:
    steps = climb(Ladder("x", (100, 200, 300), halvings), fails_from(limit, **LATE))
    assert carried(steps) == capacity
    assert len(steps) <= 3 + halvings


def test_a_ladder_that_carries_everything_has_nothing_to_refine() -> None:
    steps = climb(Ladder("x", (100, 200), 2), fails_from(900, **LATE))
    assert [s["calls"] for s in steps] == [100, 200]


def test_waits_are_taken_off_the_times_and_not_the_count() -> None:
    assert less_waits({"n": 3, "p50": 270.8, "max": 300.0}, 220.0) == {
        "n": 3,
        "p50": 50.8,
        "max": 80.0,
    }


def test_a_sample_belongs_to_the_innermost_package_we_name() -> None:
    packages, functions = read_folded(
        [
            "main (telebot/cli.py:3);push (x/pipecat/processors/base.py:9);dumps (json/a.py:1) 7",
            "main (telebot/cli.py:3);feed (telebot/speech/ear.py:40) 3",
            "nothing here",
            "",
        ]
    )
    assert packages == {"pipecat": 7, "telebot": 3}
    assert functions["telebot: feed (speech/ear.py)"] == 3


def test_a_stack_without_a_function_keeps_no_command_line() -> None:
    lines = ['process 12:"/somewhere/bin/python x" 3']
    assert read_folded(lines)[1] == {"other: no function": 3}
