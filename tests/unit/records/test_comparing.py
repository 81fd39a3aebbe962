"""Variants compared: noise is no result, a difference is found, few users tell nothing."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.records.comparing import difference, measured

pytestmark = pytest.mark.unit


def users(rng: random.Random, count: int, failing: float) -> list[tuple[float, float]]:
    """Users whose requests are alike: some fail often, most never do."""
    pairs = []
    for _ in range(count):
        requests = rng.randint(1, 60)
        own = rng.betavariate(failing * 2, (1 - failing) * 2)
        pairs.append((float(sum(rng.random() < own for _ in range(requests))), float(requests)))
    return pairs


def naive_p(one: list, base: list) -> float:
    """The test that takes requests for independent."""
    import math

    (f, n), (g, m) = ((sum(p[0] for p in each), sum(p[1] for p in each)) for each in (one, base))
    share = (f + g) / (n + m)
    spread = math.sqrt(share * (1 - share) * (1 / n + 1 / m))
    return math.erfc(abs(f / n - g / m) / spread / math.sqrt(2))


def test_the_same_thing_twice_is_seldom_taken_for_two():
    rng, alarms, naive, runs = random.Random(5), 0, 0, 600
    for _ in range(runs):
        one, base = users(rng, 60, 0.1), users(rng, 60, 0.1)
        found = difference(
            measured(one, proportion=True), measured(base, proportion=True), comparisons=1
        )
        alarms += found.verdict != "no_difference_shown"
        naive += naive_p(one, base) < 0.05
    assert alarms / runs < 0.08
    assert naive / runs > 0.4  # why users are what is counted


def test_a_difference_is_found():
    rng, found, runs = random.Random(6), 0, 100
    for _ in range(runs):
        one, base = users(rng, 300, 0.2), users(rng, 300, 0.1)
        told = difference(measured(one, proportion=True), measured(base, proportion=True), 4)
        found += told.verdict == "higher"
        assert told.low < told.value < told.high
    assert found / runs > 0.9


def test_intervals_hold_the_truth_as_often_as_they_say():
    rng, held, runs = random.Random(7), 0, 400
    for _ in range(runs):
        mean = measured(users(rng, 40, 0.2), proportion=True)
        held += mean.low <= 0.2 <= mean.high
    assert 0.92 < held / runs <= 1.0


def test_none_failed_does_not_mean_that_none_will():
    mean = measured([(0.0, 5.0)] * 30, proportion=True)
    assert (mean.value, mean.low) == (0.0, 0.0)
    assert 0.01 < mean.high < 0.05


def test_few_users_tell_nothing_however_many_requests():
    one, base = ([(float(each), 10_000.0)] * 19 for each in (5000, 0))
    told = difference(measured(one, proportion=True), measured(base, proportion=True), 1)
    assert (told.verdict, told.p) == ("too_few_users", None)
    assert told.value == 0.5
    assert measured([(3.0, 10.0)]).low is None
    assert measured([]) is None
    assert measured([(0.0, 0.0)]) is None


def test_of_many_comparisons_each_must_be_surer():
    one = measured([(1.0, 10.0), (3.0, 10.0)] * 30)
    base = measured([(0.4, 10.0), (2.7, 10.0)] * 30)
    p = difference(one, base, 1).p
    assert 0.05 / 40 < p < 0.05
    assert difference(one, base, 1).verdict == "higher"
    assert difference(one, base, 40).verdict == "no_difference_shown"


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 1000)), max_size=30))
def test_any_sums_give_a_mean_within_its_interval(pairs):
    mean = measured([(amount, float(count)) for amount, count in pairs])
    if mean is not None and mean.low is not None:
        assert mean.low <= mean.value <= mean.high
