"""The bot's side by itself: a turn is answered, dropped, taken back; what follows from a reply."""

from __future__ import annotations

import pytest
from lone_side import Rest

from telebot.dialog.actions import EndCall, Record
from telebot.speech.answering import Answering
from telebot.speech.brain import DIGITS_PREFIX

pytestmark = pytest.mark.unit


@pytest.fixture
def rest():
    return Rest()


@pytest.fixture
def answering(rest):
    answering = Answering()
    answering.begin(rest.course)
    return answering


@pytest.fixture
def reply(rest, answering):
    """The one to a turn that was just taken."""
    answering.take_turn("Book a table.")
    rest.done.clear()
    rest.effects.clear()
    return rest.current


def test_a_turn_goes_into_the_context_and_is_answered_by_the_calls_own_task(rest, answering):
    answering.take_turn(f"{DIGITS_PREFIX}42")
    assert rest.done == ["turn over", "silence broken", "turn_taken", f"context {DIGITS_PREFIX}42"]
    assert rest.current.caller_text == "42", "the record has the keys alone"
    assert len(rest.effects) == 1


def test_a_reply_that_does_not_begin_in_time_is_given_up(rest, answering, reply):
    rest.parts.replies.current = reply
    rest.scene.time.run(11.0)
    assert rest.done == ["event reply_timeout", "goodbye server_error"]


def test_a_reply_that_has_begun_is_not_waited_for(rest, answering, reply):
    answering.reply_begins(reply)
    rest.scene.time.run(11.0)
    assert rest.done == ["bot_speaks"]


def test_a_turn_of_which_nothing_was_heard_is_taken_back_whole(rest, answering, reply):
    assert answering.drop_reply() == "Book a table."
    assert rest.done == ["drop", "ending taken back", "event interrupt", "discard", "context back"]
    assert len(rest.effects) == 1, "what is being thought is stopped"
    rest.scene.time.run(11.0)
    assert "goodbye server_error" not in rest.done


def test_a_turn_of_which_something_was_heard_stays(rest, answering, reply):
    reply.counted = True
    assert answering.drop_reply() == ""
    assert "discard" not in rest.done


def test_a_phrase_that_is_dropped_gives_no_words_back_and_stops_no_thought(rest, answering):
    assert answering.drop_reply() == ""
    assert rest.effects == []


def test_what_was_decided_happens_once_the_reply_counts(rest, answering, reply):
    rest.committed = [Record("booking", {}), EndCall("goodbye")]
    answering.reply_counts(reply)
    assert rest.done == ["commit", "note booking", "after reply: 1"]


def test_a_phrase_that_is_heard_decides_nothing(rest, answering):
    phrase = rest._want("", {})
    answering.reply_counts(phrase)
    assert rest.done == []


@pytest.mark.parametrize(
    ("state", "follows"),
    [
        ("", ["bot_done", "reply was heard", "silence"]),
        ("taking", ["bot_done", "mailbox: asked"]),
        ("over", []),
    ],
    ids=["listens", "takes a message", "the stream is over"],
)
def test_what_follows_from_a_reply_that_is_over(rest, answering, reply, state, follows):
    if state:
        setattr(rest, state, True)
    answering.reply_is_over(reply, None)
    assert rest.done == follows


def test_nothing_follows_from_a_reply_that_was_interrupted(rest, answering, reply):
    reply.interrupted = True
    answering.reply_is_over(reply, None)
    assert rest.done == []
