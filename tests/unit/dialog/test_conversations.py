"""Whole conversations with the agents that ship, as tables."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml

from telebot.dialog.actions import EndCall, Record, Transfer
from telebot.dialog.brain import Brain, Step
from telebot.dialog.state import DialogState

pytestmark = pytest.mark.unit

AGENTS = Path(__file__).parents[3] / "config" / "agents"
LONDON = ZoneInfo("Europe/London")
WEDNESDAY = datetime(2026, 11, 18, 15, 0, tzinfo=LONDON)
CONVERSATIONS = yaml.safe_load((Path(__file__).parent / "conversations.yaml").read_text())


@pytest.fixture(scope="module")
def desk() -> Brain:
    return Brain.load(AGENTS / "front-desk.yaml")


def _check(turn: dict[str, Any], reply: Step) -> None:
    for words in turn.get("says", ()):
        assert words.lower() in reply.text.lower(), reply.text
    for words in turn.get("not", ()):
        assert words.lower() not in reply.text.lower(), reply.text
    if "expects" in turn:
        assert reply.expects == turn["expects"], reply.text
    records = [a for a in reply.actions if isinstance(a, Record)]
    if "record" in turn:
        wanted = dict(turn["record"])
        kind, replaces = wanted.pop("kind"), wanted.pop("replaces", False)
        assert [(r.kind, dict(r.fields)) for r in records] == [(kind, wanted)]
        assert records[0].replaces is replaces
    else:
        assert not records
    assert [a.reason for a in reply.actions if isinstance(a, EndCall)] == (
        [turn["ends"]] if "ends" in turn else []
    ), reply.text
    assert [a.to for a in reply.actions if isinstance(a, Transfer)] == (
        [turn["transfers"]] if "transfers" in turn else []
    ), reply.text


@pytest.mark.parametrize("conversation", CONVERSATIONS, ids=lambda c: c["name"])
def test_conversation(desk: Brain, conversation: dict[str, Any]) -> None:
    now = WEDNESDAY
    if "now" in conversation:
        now = datetime.fromisoformat(conversation["now"]).replace(tzinfo=LONDON)
    state = desk.start(now=now)
    for turn in conversation["turns"]:
        before = state.to_json()
        heard, keyed = turn.get("caller") or turn["digits"], "digits" in turn
        reply = desk.step(state, heard, now=now, digits=keyed)
        _check(turn, reply)
        assert state.to_json() == before
        assert desk.step(state, heard, now=now, digits=keyed) == reply
        # a call may be handed to another machine after any turn
        state = DialogState.from_json(reply.state.to_json())
        assert state == reply.state


def test_callers_own_number_is_taken_for_this_number(desk: Brain) -> None:
    state = desk.start(now=WEDNESDAY, caller_number="+442079460123")
    for heard in ("can i leave a message", "Ann", "this number is fine"):
        reply = desk.step(state, heard, now=WEDNESDAY)
        state = reply.state
    assert state.values["phone"] == "+442079460123"
    assert reply.expects == "text"


def test_unknown_own_number_is_asked_for(desk: Brain) -> None:
    state = desk.start(now=WEDNESDAY)
    for heard in ("can i leave a message", "Ann", "this number is fine"):
        reply = desk.step(state, heard, now=WEDNESDAY)
        state = reply.state
    assert reply.expects == "phone"


def test_echo_says_back_what_it_heard_and_ends_on_goodbye() -> None:
    echo = Brain.load(AGENTS / "echo.yaml")
    state = echo.start(now=WEDNESDAY)
    for heard in ("Testing, one two.", "yes", "no", "Where can I park?", "for {facts.name}"):
        reply = echo.step(state, heard, now=WEDNESDAY)
        assert reply.text == heard[:1].upper() + heard[1:]
        assert not reply.actions
        state = reply.state
    reply = echo.step(state, "Good-bye.", now=WEDNESDAY)
    assert reply.actions == (EndCall("goodbye"),)
    assert echo.phrases()["greeting"] == echo.greeting()
    assert "no_match" not in echo.phrases()


def test_start_needs_a_time_zone(desk: Brain) -> None:
    with pytest.raises(ValueError, match="time zone"):
        desk.start(now=datetime(2026, 11, 18, 15, 0))


def test_phrases_are_ready_to_speak(desk: Brain) -> None:
    phrases = desk.phrases()
    assert {"greeting", "reprompt_1", "reprompt_2", "silence_goodbye", "apology"} <= set(phrases)
    assert all(text and "{" not in text for text in phrases.values())
