"""The one state table, and a caller's silence."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.call.model import State
from telebot.call.session import TABLE, Move, Patience, Session, WrongMove

pytestmark = pytest.mark.unit

MOVES = st.lists(st.sampled_from(Move), max_size=40)


def _play(moves, session):
    for move in moves:
        before = session.state
        try:
            session.apply(move)
        except WrongMove:
            assert session.state is before
        yield before, move, session.state


@given(MOVES)
def test_only_the_table_moves_a_call(moves):
    for before, move, after in _play(moves, Session(2)):
        assert after is TABLE.get((before, move), before)


@given(MOVES)
def test_ended_is_for_ever_and_reached_from_everywhere(moves):
    session = Session(2)
    for before, _, after in _play(moves, session):
        assert before is not State.ENDED or after is State.ENDED
    if session.state is not State.ENDED:
        assert session.apply(Move.END) is State.ENDED
    for move in Move:
        with pytest.raises(WrongMove):
            session.apply(move)


@given(MOVES)
def test_a_call_rings_until_its_media_is_up(moves):
    up = False
    for _, move, after in _play(moves, Session(2)):
        up = up or move in (Move.MEDIA, Move.END)
        assert up or after is State.RINGING


def test_every_state_is_reached_and_every_move_is_used():
    assert {state for state, _ in TABLE} == set(State) - {State.ENDED}
    assert set(TABLE.values()) == set(State) - {State.RINGING}
    assert {move for _, move in TABLE} == set(Move)


def test_a_conversation():
    session = Session(2)
    steps = [
        (Move.MEDIA, State.GREETING),
        (Move.BOT_SPEAKS, State.GREETING),
        (Move.BOT_DONE, State.LISTENING),
        (Move.CALLER_SPEAKS, State.LISTENING),
        (Move.TURN_TAKEN, State.THINKING),
        (Move.BOT_SPEAKS, State.SPEAKING),
        (Move.CALLER_SPEAKS, State.LISTENING),
        (Move.TURN_TAKEN, State.THINKING),
        (Move.TRANSFER, State.TRANSFERRING),
        (Move.TRANSFER_FAILED, State.LISTENING),
        (Move.END, State.ENDED),
    ]
    assert [session.apply(move) for move, _ in steps] == [state for _, state in steps]


@given(reprompts=st.integers(0, 5))
def test_a_silent_caller_is_asked_so_often_and_no_more(reprompts):
    session = Session(reprompts)
    said = [session.silence() for _ in range(reprompts + 2)]
    assert said == [Patience.REPROMPT] * reprompts + [Patience.GOODBYE] * 2


def test_speaking_restores_patience():
    session = Session(1, State.LISTENING)
    assert session.silence() is Patience.REPROMPT
    session.apply(Move.CALLER_SPEAKS)
    assert session.silence() is Patience.REPROMPT
    assert session.silence() is Patience.GOODBYE


def test_a_wrong_move_changes_nothing_not_even_patience():
    session = Session(1, State.ENDED, asked=1)
    with pytest.raises(WrongMove, match="caller_speaks while ended"):
        session.apply(Move.CALLER_SPEAKS)
    assert session.asked == 1


def test_silence_counts_while_listening_only():
    assert [s for s in State if Session(0, s).waits_for_caller] == [State.LISTENING]
