"""What a session may ask for, and the one-time tokens that stand for one."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from telebot.call.errors import BadToken
from telebot.call.tokens import StreamTokens
from telebot.records.keys import ApiKey, Scope
from telebot.voice import promises as promises_room
from telebot.voice.promises import Promises, TooManyPromised
from telebot.voice.sessions import BadStart, SessionRequest

pytestmark = pytest.mark.unit

BEGAN = datetime(2026, 11, 26, 20, 0, tzinfo=UTC)


class Time:
    """Both clocks, turned by hand."""

    def __init__(self) -> None:
        self.s = 0.0

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.s)

    def clock(self) -> float:
        return self.s


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def promises(time: Time) -> Promises:
    names = itertools.count()
    tokens = StreamTokens("a-key-of-at-least-thirty-two-bytes!", 300.0, time.now)
    return Promises(tokens, time.clock, lambda: f"name-{next(names)}")


def key(name: str = "one") -> ApiKey:
    return ApiKey(name, name, Scope.OPERATOR, "created", BEGAN, None, None)


def test_a_token_stands_for_its_session_once(promises: Promises) -> None:
    request = SessionRequest(agent="front-desk")
    promised, token = promises.make(key(), request)
    assert promised.expires_at == BEGAN + timedelta(minutes=5)
    found = promises.spend(token)
    assert (found.id, found.key.id, found.request) == (promised.id, "one", request)
    with pytest.raises(BadToken, match="used"):
        promises.spend(token)


def test_it_is_good_for_five_minutes(promises: Promises, time: Time) -> None:
    _, early = promises.make(key(), SessionRequest())
    _, late = promises.make(key(), SessionRequest())
    time.s = 299.0
    promises.spend(early)
    time.s = 300.0
    with pytest.raises(BadToken, match="expired"):
        promises.spend(late)


def test_no_other_token_opens_one(promises: Promises, time: Time) -> None:
    promises.make(key(), SessionRequest())
    stream = StreamTokens("a-key-of-at-least-thirty-two-bytes!", 300.0, time.now)
    with pytest.raises(BadToken, match="Audience"):
        promises.spend(stream.issue("rt_name-1", "twilio", "name-0"))
    forger = StreamTokens("another-key-of-thirty-two-bytes-or-so", 300.0, time.now)
    with pytest.raises(BadToken, match="Signature"):
        promises.spend(forger.issue("rt_name-1", "realtime", "name-0"))
    with pytest.raises(BadToken):
        promises.spend(stream.issue("rt_other", "realtime", "name-0"))


def test_unused_ones_are_few_and_are_forgotten(
    promises: Promises, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(promises_room, "MOST_PROMISED_A_KEY", 2)
    monkeypatch.setattr(promises_room, "MOST_PROMISED", 3)
    promises.make(key(), SessionRequest())
    _, token = promises.make(key(), SessionRequest())
    with pytest.raises(TooManyPromised):
        promises.make(key(), SessionRequest())
    promises.make(key("two"), SessionRequest())
    with pytest.raises(TooManyPromised):
        promises.make(key("three"), SessionRequest())
    promises.spend(token)
    promises.make(key(), SessionRequest())
    time.s = 301.0
    promises.make(key(), SessionRequest())
    promises.make(key(), SessionRequest())


def test_start_adds_what_the_token_leaves_open() -> None:
    fixed = SessionRequest.model_validate({"agent": "desk", "sample_rate": 8000})
    whole = fixed.started({"sample_rate": 8000, "language": "de-DE", "mode": "direct"})
    assert (whole.agent, whole.sample_rate) == ("desk", 8000)
    assert (whole.language, whole.mode) == ("de-DE", "direct")
    assert whole.named == {}


@pytest.mark.parametrize(
    ("start", "code"),
    [
        ({"agent": "other"}, "fixed"),
        ({"sample_rate": 44_100}, "invalid_message"),
        ({"sample_rate": "16000x"}, "invalid_message"),
        ({"language": "german please"}, "invalid_message"),
        ({"provider": {"stt": ""}}, "invalid_message"),
        ({"provider": {"nobody": "x"}}, "invalid_message"),
        ({"provider": []}, "invalid_message"),
        ({"target": "vendor"}, "invalid_message"),
        ({"origin": "https://app.example"}, "invalid_message"),
        ({"unheard": 1}, "invalid_message"),
        ({"instructions": "x" * 20_000}, "invalid_message"),
    ],
)
def test_a_start_that_cannot_be_served(start: dict, code: str) -> None:
    fixed = SessionRequest(agent="desk")
    with pytest.raises(BadStart) as raised:
        fixed.started(start)
    assert raised.value.code == code


def test_a_model_is_the_language_models_or_the_sessions() -> None:
    assert SessionRequest(model="gpt-5").named == {"llm": "gpt-5"}
    assert SessionRequest(model="openai", mode="direct").named == {"realtime": "openai"}
    assert SessionRequest(model="gemini", target="vendor").named == {"realtime": "gemini"}


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "*", "null"])
def test_an_origin_is_written_as_browsers_send_it(origin: str) -> None:
    with pytest.raises(ValidationError):
        SessionRequest(origin=origin)
