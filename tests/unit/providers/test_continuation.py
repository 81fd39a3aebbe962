from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.providers.continuation import Seam, words

pytestmark = pytest.mark.unit

SAID = "We are open from Tuesday to"
REST = " Sunday, from noon until ten at night."


def through(said: str, pieces: list[str]) -> str:
    seam = Seam(said)
    return "".join([*(seam.feed(piece) for piece in pieces), seam.end()])


@pytest.mark.parametrize(
    "again",
    [
        "Sunday, from noon until ten at night.",
        " Sunday, from noon until ten at night.",
        "to Sunday, from noon until ten at night.".removeprefix("to "),
        "from Tuesday to Sunday, from noon until ten at night.",
        "We are open from Tuesday to Sunday, from noon until ten at night.",
        "we're open".removeprefix("we're open")
        + "Tuesday to Sunday, from noon until ten at night.",
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 200])
def test_nothing_is_said_twice(again, size):
    pieces = [again[i : i + size] for i in range(0, len(again), size)]
    assert through(SAID, pieces) == REST


def test_a_common_word_that_happens_to_come_again_stays():
    assert through("Shall I book it for you? We", ["We can do that."]) == " We can do that."


def test_punctuation_closes_up():
    assert through("We are open", [", every day."]) == ", every day."


def test_a_sentence_said_again_whole_is_left_out_with_its_full_stop():
    said = "We are closed on Mondays."
    assert through(said, ["We are closed on Mondays. ", "Come on Tuesday."]) == " Come on Tuesday."


def test_without_a_beginning_everything_passes_at_once():
    seam = Seam("")
    assert seam.feed("Hel") == "Hel"


@given(st.text("abc .", max_size=30), st.lists(st.text("abc .", max_size=8), max_size=8))
def test_a_seam_never_makes_words_up(said, pieces):
    new = words(" ".join("".join(pieces).split()))
    got = words(through(said, pieces))
    assert got == new[len(new) - len(got) :]
