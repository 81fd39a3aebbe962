"""Why calls end: what peers say, and what they are told."""

from __future__ import annotations

import pytest

from telebot.call.ending import termination
from telebot.call.model import Result
from telebot.sip.causes import Cause, read, told

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("cause", "reason"),
    [
        (Cause(), "caller_hangup"),
        (Cause(q850=31), "caller_hangup"),
        (Cause(q850=38), "carrier_ended"),
        (Cause(q850=41), "carrier_ended"),
        (Cause(q850=102), "carrier_ended"),
        (Cause(status=200, text="Call completed elsewhere"), "carrier_ended"),
    ],
)
def test_who_ended_it(cause: Cause, reason: str) -> None:
    assert read(cause) == reason


@pytest.mark.parametrize(
    ("reason", "status", "retry"),
    [
        ("capacity", 503, True),
        ("draining", 503, True),
        ("server_error", 503, True),
        ("unknown_number", 404, False),
        ("bad_media", 488, False),
        ("bot_hangup", 480, False),
    ],
)
def test_what_a_peer_is_told_of_a_call_not_answered(reason: str, status: int, retry: bool) -> None:
    cause = told(reason)
    assert cause.status == status
    assert bool(cause.retry_after) is retry


def test_a_call_that_never_had_media_is_no_failure_of_its_conversation() -> None:
    assert termination("no_ack").result is Result.NO_MEDIA
    for reason in ("session_expired", "bad_media"):
        assert termination(reason).result is Result.FAILED
