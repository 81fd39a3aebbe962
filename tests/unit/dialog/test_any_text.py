"""Whatever a recogniser writes: the brain answers, briefly, and the same way each time."""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telebot.dialog.brain import MAX_REPLY_CHARS, Brain
from telebot.dialog.state import DialogState

pytestmark = pytest.mark.unit

AGENTS = Path(__file__).parents[3] / "config" / "agents"
NOW = datetime(2026, 11, 18, 15, 0, tzinfo=ZoneInfo("Europe/London"))
SPOKEN = """a table for four two people half past quarter to seven thirty eight friday next monday
    twenty first of december today the name is Johnson for O'Neill yes no not actually make it sorry
    cancel my booking message oh double zero nine where park open and or forget it person goodbye
    repeat 7:30 99:99 0 31st 4000 pm at on change wrong day time number hundred""".split()
texts = st.one_of(
    st.text(max_size=300),
    st.lists(st.sampled_from(SPOKEN), max_size=25).map(" ".join),
    st.lists(st.one_of(st.sampled_from(SPOKEN), st.text(max_size=6)), max_size=12).map(" ".join),
)


@lru_cache
def _brain(name: str) -> Brain:
    return Brain.load(AGENTS / f"{name}.yaml")


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=6))
def test_any_conversation_is_answered(turns: list[tuple[str, bool]]) -> None:
    desk = _brain("front-desk")
    state = desk.start(now=NOW, caller_number="+442079460123")
    for heard, digits in turns:
        reply = desk.step(state, heard, now=NOW, digits=digits)
        assert 0 < len(reply.text) <= MAX_REPLY_CHARS
        assert "{" not in reply.text or "{" in heard or "message" in dict(state.slots)
        assert desk.step(state, heard, now=NOW, digits=digits) == reply
        assert DialogState.from_json(reply.state.to_json()) == reply.state
        state = reply.state


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_echo_says_anything(heard: str) -> None:
    echo = _brain("echo")
    reply = echo.step(echo.start(now=NOW), heard, now=NOW)
    assert len(reply.text) <= MAX_REPLY_CHARS


@pytest.mark.parametrize(
    "piece", ["four ", "a", "0", "double ", "{", "no ", ". ", "half past ", "ﷺ"]
)
def test_huge_input_is_cut(piece: str) -> None:
    desk = _brain("front-desk")
    state = desk.step(desk.start(now=NOW), "a table for two on friday", now=NOW).state
    for digits in (False, True):
        reply = desk.step(state, piece * 200_000, now=NOW, digits=digits)
        assert len(reply.text) <= MAX_REPLY_CHARS
        assert len(reply.state.to_json()) < 10_000


def test_a_state_from_an_older_file_is_survived() -> None:
    desk = _brain("front-desk")
    old = DialogState(form="gone", stage="filling", awaiting="shoe_size", slots=(("a", 1),))
    reply = desk.step(old, "Where are you?", now=NOW)
    assert "12 Harbour Street" in reply.text
    odd = DialogState(form="book_table", stage="filling", awaiting="shoe_size", offered="gone")
    reply = desk.step(odd, "A table for four", now=NOW)
    assert reply.state.values == {"party_size": 4}
