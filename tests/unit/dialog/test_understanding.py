"""A text understood without a provider: places, values, intents; measured where it guesses."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.dialog.agent_file import Intent
from telebot.dialog.brain import Brain
from telebot.dialog.entities import entities
from telebot.dialog.hearing import placed, read
from telebot.dialog.language import language
from telebot.dialog.sentiment import sentiment
from telebot.dialog.understanding import Understanding
from telebot.settings import PACKAGE_CONFIG

pytestmark = pytest.mark.unit

TODAY = date(2026, 11, 26)
LABELLED = yaml.safe_load((Path(__file__).parent / "labelled.yaml").read_text("utf-8"))
SHOP = {
    "refund": Intent(examples=["I want my money back", "please refund my order"]),
    "track": Intent(examples=["where is my parcel", "when will my order arrive"]),
    "person": Intent(keywords=["human", "speak to someb*"]),
}


def told(text: str) -> list[tuple[str, str, str]]:
    found = entities(text, TODAY)
    assert all(text[each.start : each.end] == each.text for each in found)
    return [(each.type, each.text, each.value) for each in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "A table for four on Friday at half past seven, the name is Mary O’Neill.",
            [("number", "four", "4"), ("date", "Friday", "2026-11-27"),
             ("time", "half past seven", "19:30"), ("name", "Mary O’Neill", "Mary O'Neill")],
        ),
        (
            "My number is oh two oh seven double four 123 456.",
            [("phone", "oh two oh seven double four 123 456", "020744123456")],
        ),
        (
            "It cost £12.50, then US$5 or 1,234.50 EUR; 20% off.",
            [("money", "£12.50", "12.50"), ("money", "US$5", "5"),
             ("money", "1,234.50 EUR", "1234.50"), ("percent", "20%", "20")],
        ),
        (
            "two hundred and five euros and twenty cents by 2026-12-24 at 7pm",
            [("money", "two hundred and five euros and twenty cents", "205.20"),
             ("date", "2026-12-24", "2026-12-24"), ("time", "7pm", "19:00")],
        ),
        (
            "Mail anna.smith@example.org or see https://example.com/a?b=1.",
            [("email", "anna.smith@example.org", "anna.smith@example.org"),
             ("url", "https://example.com/a?b=1", "https://example.com/a?b=1")],
        ),
        ("Ｆｒｉｄａｙ", [("date", "Ｆｒｉｄａｙ", "2026-11-27")]),
        ("Flight BA123 on 2026-02-31", []),
        ("", []),
    ],
)  # fmt: skip
def test_what_a_text_names_and_where(text, found):
    assert told(text) == found


def test_what_is_not_said_is_not_known():
    (dollars,) = entities("It was $5.", TODAY)
    assert dollars.more == {"currency": None}
    (euros,) = entities("It was €5.", TODAY)
    assert euros.more == {"currency": "EUR"}
    (time,) = entities("at seven", TODAY)
    assert (time.value, time.others) == ("19:00", ("07:00",))
    (time,) = entities("at seven in the morning", TODAY)
    assert (time.value, time.others) == ("07:00", ())


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200) | st.lists(st.sampled_from(
    "the name is for at seven 7pm £5 5% double oh two Friday next 2026-12-24 a@b.org No. é́ ﬁve and"
    .split()), max_size=40).map(" ".join))  # fmt: skip
def test_places_are_places_whatever_is_written(text):
    found = entities(text, TODAY)
    for each in found:
        assert 0 <= each.start < each.end <= len(text)
        assert each.text == text[each.start : each.end]
    for one, after in pairwise(found):
        assert one.end <= after.start
    assert placed(text).text == read(text).text or "́" in text


@pytest.mark.timeout(60)  # what grows with the square takes minutes
@pytest.mark.parametrize(
    "piece",
    ["double ", "oh ", "1 ", "name is ", "for ", "a week on ", "., ", "£", "1,000", "a@", "at 7 "],
)
def test_a_hostile_text_takes_no_long_time(piece):
    text = piece * (10_000 // len(piece))
    Understanding(SHOP).of(text, TODAY, "en")


def test_several_intents_each_with_its_score_and_words():
    text = "I want a refund for this and when does my package arrive? Let me speak to somebody."
    found = Understanding(SHOP).of(text, TODAY, "en").intents
    assert [(each.intent, each.by) for each in found] == [
        ("refund", "likeness"), ("track", "likeness"), ("person", "keyword"),
    ]  # fmt: skip
    assert text[found[1].start : found[1].end] == "when does my package arrive"
    assert found[2].score == 1.0
    assert all(0.6 < each.score < 1.0 for each in found[:2])
    assert Understanding(SHOP).of("Good evening to all of you.", TODAY, "en").intents == ()


def test_an_agents_own_intents_and_the_slots_of_their_forms():
    desk = Brain.load(PACKAGE_CONFIG / "agents" / "front-desk.yaml").understanding()
    text = "A table for four on Friday at half past seven please, and do you have parking?"
    found = {each.intent: each for each in desk.of(text, TODAY).intents}
    assert found["book_table"].slots == {"day": "2026-11-27", "time": "19:30", "party_size": 4}
    assert text[found["parking"].start :] == "do you have parking?"


def test_a_long_text_is_read_in_parts():
    text = "Nothing of note was said here today by them. " * 100 + "I want my money back."
    found = Understanding(SHOP).of(text, TODAY, "en")
    assert [text[each.start : each.end] for each in found.intents] == ["I want my money back"]


def test_another_language_is_told_and_nothing_else_is_guessed():
    found = Understanding(SHOP).of("Ich möchte gerne mein Geld zurück, bitte.", TODAY)
    assert (found.language.tag, found.intents, found.sentiment) == ("de", (), None)
    found = Understanding(SHOP).of("ok", TODAY)
    assert (found.language, found.sentiment) == (None, None)


def test_languages_as_often_right_as_docs_say():
    asked = [(tag, text) for tag, texts in LABELLED["languages"].items() for text in texts]
    found = [(tag, language(text)) for tag, text in asked]
    known = [(tag, got.tag) for tag, got in found if got is not None]
    assert len(asked) == 84
    assert len(known) >= 75
    assert sum(tag == got for tag, got in known) == len(known)
    assert [language(text) for text in LABELLED["unknown"]] == [None] * 7


def test_sentiments_as_often_right_as_docs_say():
    asked = [(label, text) for label, texts in LABELLED["sentiments"].items() for text in texts]
    right = sum(sentiment(text).label == label for label, text in asked)
    assert (len(asked), right) == (45, 42)
    assert sentiment("12345 ?!") is None
