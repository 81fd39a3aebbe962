"""What may be said to the next caller: nothing with digits or names in it."""

from __future__ import annotations

import pytest

from telebot.speech.impersonal import AgentWords

pytestmark = pytest.mark.unit

FILE = """
facts: {name: Corner Cuts, address: 3 Market Square, owner: Maria}
phrases: {greeting: "Hello, this is Corner Cuts. We do haircuts and beard trims."}
"""
WORDS = AgentWords(FILE)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("When are you open?", "when are you open"),
        ("Um, hello, when are you open, please?", "when are you open"),
        ("What's the price of a haircut?", "what is the price of a haircut"),
        ("Are you open on Mondays?", "are you open on mondays"),
        ("is there parking", "is there parking"),
        ("Where can I park?", "where can i park"),
    ],
)
def test_what_anybody_may_ask(text: str, normal: str) -> None:
    assert WORDS.question(text) == normal


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Hello.",
        "My number is oh two oh seven.",
        "A table for four, please.",
        "Are you open at 9?",
        "[keypad] 5",
        "This is Peter, when are you open?",
        "this is peter when are you open",
        "Peter here, when are you open?",
        "Is Maria there?",
        "is maria there",
        "Can I speak to Will?",
        "Are you at Corner?",
        "I am looking for a place to park.",
        "Where is my order?",
        "I have an order with you.",
        "Are you open today?",
        "Is it still open now?",
        "Do you have zymurgy?",
        "is peter in the kitchen",
        "where " * 30,
    ],
)
def test_what_may_be_somebodys_own(text: str) -> None:
    assert WORDS.question(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "We are open from nine to five, Tuesday to Saturday.",
        "Yes, there is. You can park behind Corner Cuts, in Market Square.",
        "It's free. I'm glad you ask.",
        "Maria owns it.",  # it stands in the file
    ],
)
def test_answers_that_anybody_may_hear(text: str) -> None:
    assert WORDS.reply(text)


@pytest.mark.parametrize(
    "text", ["We close at 5.", "Certainly, Peter.", "Peter, we are open.", "Ask for Mr Miller."]
)
def test_answers_that_not_everybody_may_hear(text: str) -> None:
    assert not WORDS.reply(text)
