"""What a person is told of a call before it is put through to them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from telephone import Log

from telebot.call.model import Call, CallOffer, Note, Turn, TurnLatency
from telebot.speech.gist import MAX_WORDS, Gist

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
CALL = Call("id", CallOffer("local", "one", "+4420", "+4421"), "front-desk", NOW)


def turn(index: int, text: str | None) -> Turn:
    return Turn(index, NOW, text, "Yes.", "Yes.", False, {}, TurnLatency())


def gist(*said: str | None, notes: tuple[Note, ...] = ()) -> tuple[Gist, Log]:
    log = Log()
    made = Gist(
        log, "+4420", lambda v: f"{v['caller']} | {v['notes']} | {v['last_words']}", lambda: NOW
    )
    for index, text in enumerate(said):
        made.turn(CALL, turn(index, text))
    for note in notes:
        made.note(CALL, note)
    return made, log


def booking(replaces: bool = False, **fields: object) -> Note:
    return Note("booking", fields, NOW, replaces)


def test_the_last_words_and_the_notes_as_they_are_spoken():
    fields = {"party_size": 4, "day": "2026-11-27", "time": "19:30", "phone": "0207", "name": "Jo"}
    made, log = gist(None, "one", "A table?", "A person", notes=(booking(**fields),))
    assert made.summary() == (
        "plus four four two oh"
        " | A booking: party size four, day tomorrow, Friday the twenty-seventh of November,"
        " time half past seven, phone oh two oh seven, name Jo."
        " | A table. A person."
    )
    assert [one.caller_text for one in log.turns] == [None, "one", "A table?", "A person"]
    assert len(log.notes) == 1


def test_a_note_that_was_corrected_is_not_told():
    made, _ = gist(notes=(booking(name="Jo"), booking(replaces=True, name="Joe")))
    assert made.summary().count("booking") == 1


def test_nothing_is_told_of_nothing():
    assert gist(None)[0].summary() == "plus four four two oh |  | "


def test_it_never_takes_longer_than_it_may():
    words = "I have a long story to tell " * 40
    note = booking(message=words, number=12345, odd=None, line="a\x00b\ud800")
    made, _ = gist(words, words, notes=(note,) * 5)
    told = made.summary()
    assert len(told.split()) <= MAX_WORDS
    assert told.isprintable()
