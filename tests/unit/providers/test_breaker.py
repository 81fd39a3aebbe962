from __future__ import annotations

import pytest

from telebot.providers.breaker import FIRST_OPEN_S, PROBE_S, Breakers, State
from telebot.providers.failure import Cause, Failure

pytestmark = pytest.mark.unit


class Now:
    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def breaker(now):
    return Breakers(now).of("llm", "acme/one")


def test_one_slow_answer_is_not_enough_two_in_a_row_are(breaker):
    breaker.failed(Failure(Cause.SLOW_FIRST))
    assert breaker.closed()
    breaker.succeeded()
    breaker.failed(Failure(Cause.SLOW_FIRST))
    assert breaker.closed()
    breaker.failed(Failure(Cause.STALLED))
    assert breaker.state is State.OPEN


@pytest.mark.parametrize(
    "cause", [Cause.REFUSED, Cause.RATE_LIMIT, Cause.UNREACHABLE, Cause.SLOW_START]
)
def test_some_causes_open_at_once(breaker, cause):
    breaker.failed(Failure(cause))
    assert breaker.state is State.OPEN


def test_it_is_tried_by_one_once_its_time_is_up(breaker, now):
    breaker.failed(Failure(Cause.UNREACHABLE))
    assert not breaker.may_probe()
    now.at += FIRST_OPEN_S
    assert breaker.may_probe()
    assert breaker.state is State.HALF_OPEN
    assert not breaker.may_probe()  # somebody is trying
    breaker.succeeded(0.2)
    assert breaker.closed()
    assert breaker.latency_s() == 0.2


def test_a_probe_that_fails_doubles_the_wait(breaker, now):
    breaker.failed(Failure(Cause.UNREACHABLE))
    now.at += FIRST_OPEN_S
    assert breaker.may_probe()
    breaker.failed(Failure(Cause.UNREACHABLE))
    now.at += FIRST_OPEN_S
    assert not breaker.may_probe()
    now.at += FIRST_OPEN_S
    assert breaker.may_probe()


def test_a_probe_that_is_never_heard_of_is_given_up(breaker, now):
    breaker.failed(Failure(Cause.UNREACHABLE))
    now.at += FIRST_OPEN_S
    assert breaker.may_probe()
    now.at += PROBE_S
    assert breaker.may_probe()


def test_a_refused_key_is_tried_again_only_once_it_changes(now):
    breakers = Breakers(now)
    breakers.of("llm", "acme/one", "wrong").failed(Failure(Cause.REFUSED))
    now.at += 1e6
    assert not breakers.of("llm", "acme/one", "wrong").may_probe()
    assert breakers.of("llm", "acme/one", "right").closed()


def test_a_rate_limit_lasts_as_long_as_the_vendor_says(breaker, now):
    breaker.failed(Failure(Cause.RATE_LIMIT, retry_after_s=1.5))
    now.at += 1.4
    assert not breaker.may_probe()
    now.at += 0.1
    assert breaker.may_probe()


def test_all_calls_share_a_breaker_and_health_tells_of_it(now):
    breakers = Breakers(now)
    breakers.of("stt", "acme/two").failed(Failure(Cause.REFUSED))
    assert not breakers.of("stt", "acme/two").closed()
    assert breakers.of("stt", "acme/three").closed()
    fine, told = breakers.check()
    assert fine
    assert told["stt acme/two"]["state"] == "open"
    assert told["stt acme/two"]["cause"] == "refused"
    assert told["stt acme/two"]["retry_in_s"] is None
