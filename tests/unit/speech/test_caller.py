"""The caller's side by itself: what is spoken, written and keyed, and who is told."""

from __future__ import annotations

import pytest
from lone_side import Rest

from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.caller import Caller

pytestmark = pytest.mark.unit


@pytest.fixture
def rest():
    return Rest()


@pytest.fixture
def caller(rest):
    caller = Caller()
    caller.begin(rest.course)
    return caller


def test_speech_and_words_are_a_turn_and_the_recogniser_knows_where_it_begins_and_ends(
    rest, caller
):
    caller.speech_started(8000)
    rest.scene.time.run(1.0)
    caller.speech_stopped(16000)
    caller.caller_text("Are you open on Mondays?", True)
    rest.scene.time.run(2.0)
    assert rest.scene.texts == ["Are you open on Mondays?"]
    assert rest.done == [
        "mailbox: speech from 1.0",
        "silence broken",
        "event speech",
        "mailbox: speech to 2.0",
        "mailbox: Are you open on Mondays?",
    ]
    assert len(rest.effects) == 2, "the recogniser is told in order, by the call's own task"
    assert rest.course.moments.turn_start_ms == 1000.0


def test_keys_are_one_turn_after_a_pause(rest, caller):
    for digit in "123":
        caller.key(digit)
        rest.scene.time.run(1.0)
    assert rest.scene.texts == []
    rest.scene.time.run(2.0)
    assert rest.scene.texts == [f"{DIGITS_PREFIX}123"]
    assert rest.done == ["event dtmf", "silence broken"] * 3


def test_a_hash_alone_is_no_turn(rest, caller):
    caller.key("#")
    assert rest.scene.texts == []
    assert rest.done == ["event dtmf", "silence broken", "silence"]


def test_keys_are_waited_for_no_longer_than_the_call_lasts(rest, caller):
    caller.key("1")
    caller.close()
    rest.scene.time.run(10.0)
    assert rest.scene.texts == []


def test_what_is_written_is_a_turn_at_once_and_has_its_moment(rest, caller):
    caller.write("Are you open?")
    assert rest.scene.texts == ["Are you open?"]
    assert rest.course.moments.written_at == rest.scene.time.now


def test_a_caller_without_a_say_is_heard_by_the_mailbox_alone(rest, caller):
    rest.firm = True
    caller.speech_started(8000)
    caller.caller_text("Wait!", True)
    caller.caller_interim("Wait a little longer")
    caller.caller_turn("Wait!")
    caller.caller_no_text()
    caller.speech_stopped(16000)
    rest.scene.time.run(5.0)
    assert rest.scene.log == []
    assert "mailbox: Wait!" in rest.done
    assert "silence broken" not in rest.done
    assert not rest.effects, "the recogniser has nothing to write down"
    rest.taking = True
    caller.speech_started(24000)
    caller.speech_stopped(32000)
    assert len(rest.effects) == 2, "a message is being left: it writes"


@pytest.mark.parametrize("taking", [False, True])
def test_the_hash_key_ends_a_message(rest, caller, taking):
    rest.firm = rest.taking = taking
    caller.key("#")
    assert ("mailbox: finish" in rest.done) is taking


def test_a_suspicion_holds_only_a_voice_that_talks(rest, caller):
    caller.speech_suspected()
    assert rest.done == []
    rest.parts.voice.talking = True
    caller.speech_suspected()
    assert rest.done == ["hold"]
    rest.parts.voice.held = True
    caller.suspicion_cleared()
    assert rest.done == ["hold", "release"]


def test_a_suspicion_does_not_hold_what_the_caller_has_no_say_in(rest, caller):
    rest.parts.voice.talking = rest.firm = True
    caller.speech_suspected()
    assert rest.done == []
