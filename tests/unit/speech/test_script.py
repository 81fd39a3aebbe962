"""Which words of a reply were heard."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.audio.g711 import RATE_HZ
from telebot.speech.script import Script

pytestmark = pytest.mark.unit

WORDS = [(0.1, 0.4, "We"), (0.4, 0.7, "are"), (0.8, 1.4, "open.")]


def timed(position: int = 8000) -> Script:
    script = Script()
    script.place(position, WORDS)
    return script


@pytest.mark.parametrize(
    ("seconds", "heard"),
    [
        (0.0, ""),
        (0.2, ""),
        (0.25, "We"),
        (0.5, "We"),
        (0.6, "We are"),
        (1.0, "We are"),
        (1.2, "We are open."),
        (9.0, "We are open."),
    ],
)
def test_a_timed_word_is_heard_from_its_middle_on(seconds, heard):
    played = 8000 + int(seconds * RATE_HZ)
    assert timed().heard(played, 8000, 8000 + 2 * RATE_HZ) == heard


@pytest.mark.parametrize(
    ("seconds", "start_s"),
    [(0.05, 0.05), (0.2, 0.1), (0.5, 0.4), (0.75, 0.75), (1.0, 0.8), (1.39, 0.8), (1.4, 1.4)],
)
def test_a_word_cut_is_said_from_its_start(seconds, start_s):
    at = timed().word_start(8000 + int(seconds * RATE_HZ), 8000, 8000 + 2 * RATE_HZ)
    assert at == 8000 + int(start_s * RATE_HZ)


def test_several_sentences_one_after_another():
    script = timed(0)
    script.place(2 * RATE_HZ, [(0.0, 0.5, "Come"), (0.5, 0.9, "in.")])
    assert script.text == "We are open. Come in."
    assert script.heard(int(2.4 * RATE_HZ), 0, 3 * RATE_HZ) == "We are open. Come"
    assert script.word_start(int(2.7 * RATE_HZ), 0, 3 * RATE_HZ) == int(2.5 * RATE_HZ)


def test_text_without_times_is_spread_by_its_length():
    script = Script()
    script.add(0, "Hi ")
    script.add(0, "international  friends")
    script.add(0, "  ")
    assert script.text == "Hi international friends"
    assert script.heard(500, 0, 8000) == "Hi"
    assert script.heard(4200, 0, 8000) == "Hi international"
    assert script.heard(8000, 0, 8000) == script.text
    assert script.heard(0, 0, 8000) == ""


def test_nothing_said():
    script = Script()
    assert script.text == ""
    assert script.heard(100, 0, 8000) == ""
    assert script.heard(8000, 0, 8000) == ""
    assert script.word_start(100, 0, 8000) == 100


texts = st.lists(st.text("abcdefghij", min_size=1, max_size=12), min_size=1, max_size=20)


@given(texts, st.integers(0, 100_000), st.integers(1, 100_000), st.data())
def test_what_was_heard_grows_and_ends_as_the_text(words, start, length, data):
    script = Script()
    for word in words:
        script.add(start, word)
    end = start + length
    positions = sorted(data.draw(st.lists(st.integers(start, end), max_size=6)))
    heard = [script.heard(position, start, end) for position in positions]
    for earlier, later in itertools.pairwise(heard):
        assert later.startswith(earlier)
    assert all(script.text.startswith(part) for part in heard)
    assert script.heard(end, start, end) == " ".join(words)
    for position in positions:
        at = script.word_start(position, start, end)
        assert start <= at <= position or at == position
        assert position - at <= length
