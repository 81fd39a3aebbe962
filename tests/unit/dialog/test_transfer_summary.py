"""What a person is told before a warm transfer, as the agent's file has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from telebot.dialog.actions import Transfer
from telebot.dialog.brain import Brain
from telebot.dialog.errors import BadAgentFile

pytestmark = pytest.mark.unit

FILE = """\
facts: {name: Corner Cuts}
phrases:
  greeting: "Hello."
%s
intents:
  owner:
    only: [owner]
    action: transfer
    transfer_to: "+441632960123"
    warm: true
  shop:
    only: [shop]
    action: transfer
    transfer_to: "200"
"""
OWN = '  transfer_summary: "{facts.name}: a call from {caller}. {notes} Last words: {last_words}"'


def brain(tmp_path: Path, phrases: str = "") -> Brain:
    path = tmp_path / "agent.yaml"
    path.write_text(FILE % phrases)
    return Brain.load(path)


@pytest.mark.parametrize(
    ("notes", "last_words", "told"),
    [
        ("", "", "I have a caller for you."),
        ("", "a person.", "I have a caller for you. The caller said: a person."),
        ("A booking.", "", "I have a caller for you. A booking."),
        ("A booking.", "Yes.", "I have a caller for you. A booking. The caller said: Yes."),
    ],
)
def test_a_sentence_with_a_gap_is_left_out(tmp_path, notes, last_words, told):
    values = {"notes": notes, "last_words": last_words, "caller": "two oh one"}
    assert brain(tmp_path).summary(values) == told


def test_the_files_own_sentence(tmp_path):
    values = {"notes": "", "last_words": "Hello.", "caller": "two oh one"}
    told = brain(tmp_path, OWN).summary(values)
    assert told == "Corner Cuts: a call from two oh one. Last words: Hello."


def test_every_way_to_a_person_is_known(tmp_path):
    assert brain(tmp_path).transfers() == (Transfer("+441632960123", True), Transfer("200"))


def test_it_is_no_phrase_that_is_made_ahead(tmp_path):
    made = brain(tmp_path, OWN)
    assert "transfer_summary" not in made.phrases()
    assert not any("caller" in text for text in made.fixed_texts())


@pytest.mark.parametrize(
    ("phrases", "fault"),
    [
        ('  transfer_summary: "From {callers}."', 'did you mean "{caller}"'),
        ('  transfer_failed: "{notes}"', "is not known here"),
    ],
)
def test_fields_that_it_does_not_know(tmp_path, phrases, fault):
    with pytest.raises(BadAgentFile, match=fault):
        brain(tmp_path, phrases)


def test_only_a_transfer_is_warm(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text(
        'phrases: {greeting: "Hi."}\nintents: {bye: {only: [bye], action: end_call, warm: true}}\n'
    )
    with pytest.raises(BadAgentFile, match="only a transfer can be warm"):
        Brain.load(path)
