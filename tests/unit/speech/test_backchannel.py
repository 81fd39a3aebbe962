"""What a small recogniser writes for hums, nods, coughs, and for sentences cut in the middle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.speech.backchannel import Shape, is_backchannel, shape, words

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "",
        "…",
        "...",
        "Mm-hmm.",
        "Mmhmm",
        "Mm.",
        "Hmm.",
        "Hm, hm.",
        "Uh-huh.",
        "Uh huh.",
        "Um,",
        "Oh.",
        "Ah!",
        "Mm-hmm, mm-hmm.",
    ],
)
def test_a_hum_is_never_an_interruption(text, asked):
    assert is_backchannel(text, asked=asked, speech_s=0.5)


@pytest.mark.parametrize(
    "text",
    [
        "Yeah.",
        "Yes.",
        "Okay.",
        "OK",
        "Right.",
        "I see.",
        "Got it.",
        "Sure.",
        "Oh, great.",
        "Mm, ok",
        "All right.",
        "Well, yeah.",
        "Brilliant.",
        "Alright.",
        "Thanks.",
    ],
)
def test_a_nod_is_one_only_while_nothing_was_asked(text):
    assert is_backchannel(text, asked=False, speech_s=0.5)
    assert not is_backchannel(text, asked=True, speech_s=0.5)


@pytest.mark.parametrize("text", ["You", "The", "A", "So.", "Bye."])
def test_a_ghost_word_is_a_cough_when_it_was_short(text):
    assert is_backchannel(text, asked=True, speech_s=0.3)
    assert not is_backchannel(text, asked=True, speech_s=0.6)


@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize(
    "text",
    [
        "Stop.",
        "No wait",
        "No.",
        "Wait, wait.",
        "What?",
        "Hello?",
        "Actually, make it five",
        "I'd like to book a table for",
        "Yes, but on Friday",
        "Okay but not on Mondays",
        "Cancel.",
    ],
)
def test_words_that_say_something_are_an_interruption(text, asked):
    assert not is_backchannel(text, asked=asked, speech_s=0.6)


@pytest.mark.parametrize("text", ["Stop.", "No wait", "Wait.", "No.", "Operator!", "What?", "Hold"])
def test_a_word_that_stops_the_bot_is_no_hum_however_short(text):
    assert not is_backchannel(text, asked=False, speech_s=0.3)


@pytest.mark.parametrize("text", ["Mum.", "Aha.", "Mum, mum."])
def test_what_a_recogniser_makes_of_a_hum_is_one_while_nothing_was_asked(text):
    assert is_backchannel(text, asked=False, speech_s=0.4)
    assert not is_backchannel(text, asked=False, speech_s=0.9) or "Aha" in text
    assert not is_backchannel(text, asked=True, speech_s=0.4) or "Aha" in text


@pytest.mark.parametrize(
    "text",
    [
        "I'd like to book a table for",
        "I would like to book a",
        "I'd like",
        "My name is",
        "The number is",
        "My number is...",
        "We are coming on Friday and",
        "Can I have the…",
        "It's for",
        "I want to -",
        "Um",
        "Maybe",
        "We need a table because",
        "I'D LIKE TO BOOK A TABLE FOR.",
    ],
)
def test_a_sentence_that_wants_to_go_on(text):
    assert shape(text) is Shape.DANGLING


@pytest.mark.parametrize(
    "text",
    ["Yes.", "Are you open?", "No, thank you", "Yes please", "Okay.", "Bye!", "No"],
)
def test_a_sentence_that_is_closed_by_its_words(text):
    assert shape(text) is Shape.CLOSED


@pytest.mark.parametrize(
    "text",
    ["", "…", "A table for four", "Friday at seven.", "Johnson", "six"],
)
def test_any_other_sentence_is_the_models_to_judge(text):
    assert shape(text) is Shape.OPEN


@pytest.mark.parametrize(
    "text",
    [
        "What is that?",
        "I want that.",
        "Who am I speaking with?",
        "What are you calling about?",
        "Yes, we'd like this.",
        pytest.param("Yes, it is."),
        pytest.param("Yes, I am."),
        pytest.param("Yes I would."),
        pytest.param("No, I'm afraid we are."),
        pytest.param("That's the one I want."),
    ],
)
def test_a_finished_sentence_may_end_in_a_small_word(text):
    assert shape(text) is not Shape.DANGLING


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("five five five one two three", Shape.DANGLING),
        ("oh one six three two nine six oh oh one two", Shape.OPEN),
        ("555 123 4567", Shape.OPEN),
        ("555-123-4567.", Shape.OPEN),
        ("double five five one two three four five six seven", Shape.OPEN),
        ("it's 0163", Shape.DANGLING),
    ],
)
def test_a_number_is_not_over_before_it_has_its_digits(text, expected):
    assert shape(text, expects="phone") is expected


@pytest.mark.parametrize("text", ["Six people.", "Monday?"])
def test_short_answers_are_no_hums(text):
    assert not is_backchannel(text, asked=False, speech_s=0.7)


@given(st.text(max_size=80), st.booleans(), st.floats(0, 5))
def test_any_text_has_an_answer(text, asked, speech_s):
    assert shape(text) in Shape
    hum = is_backchannel(text, asked=asked, speech_s=speech_s)
    assert hum or words(text), "no words are never an interruption"


@pytest.mark.parametrize("text", ["I’d like", "It’s"])
def test_a_curly_apostrophe_is_an_apostrophe(text):
    assert shape(text) is Shape.DANGLING
    assert words(text)[0] == text.lower().replace("’", "'").split()[0]
