"""The sentences that may be kept: none that holds a value of a call."""

from pathlib import Path

import pytest

from telebot.dialog.brain import Brain

pytestmark = pytest.mark.unit

FILE = """
facts: {place: Market Square, opening_hours: {monday: "09:00-18:00"}}
phrases:
  greeting: "Hello, this is {facts.place}."
  no_match: "{heard}?"
intents:
  hours:
    keywords: [open]
    answer: "See below."
    when_open: "Open {when}."
    when_closed: "Not then."
  book: {keywords: [book], form: visit}
forms:
  visit:
    start: "Gladly."
    slots:
      day: {type: date, ask: "Which day?", ack: "On {day}.", check: {past: "It has passed."}}
    confirm: "On {day}, right?"
    on_complete: {record: booking, say: "Booked."}
"""


def test_only_texts_without_a_value_are_fixed(tmp_path: Path) -> None:
    path = tmp_path / "desk.yaml"
    path.write_text(FILE)
    texts = Brain.load(path).fixed_texts()
    assert {
        "Hello, this is Market Square.",
        "See below.",
        "Not then.",
        "Gladly.",
        "Which day?",
        "It has passed.",
        "Booked.",
    } <= texts
    assert not any("Open" in text or "{" in text or "On " in text for text in texts)
