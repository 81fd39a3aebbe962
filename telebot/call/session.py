"""The one state table of a call, and what its states do when time passes.

Pure: `speech/` feeds it what happened and acts on what it answers; no clock, no I/O. The table is
the whole truth about which move is possible; anything else is a `WrongMove`, logged and ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from telebot.call.errors import Local
from telebot.call.model import State


class Move(StrEnum):
    """What can happen to a call."""

    MEDIA = "media"  # the media stream is up
    CALLER_SPEAKS = "caller_speaks"
    TURN_TAKEN = "turn_taken"  # the caller's turn is over; a reply is wanted
    BOT_SPEAKS = "bot_speaks"  # the first audio of a reply leaves
    BOT_DONE = "bot_done"  # everything said was played, or the turn came to nothing
    TRANSFER = "transfer"
    TRANSFER_FAILED = "transfer_failed"
    END = "end"


class WrongMove(Local):
    """A move the table does not know from the state the call is in."""


_S, _M = State, Move
TABLE: dict[tuple[State, Move], State] = {
    (_S.RINGING, _M.MEDIA): _S.GREETING,
    (_S.GREETING, _M.BOT_SPEAKS): _S.GREETING,
    (_S.GREETING, _M.BOT_DONE): _S.LISTENING,
    (_S.GREETING, _M.CALLER_SPEAKS): _S.LISTENING,
    (_S.GREETING, _M.TURN_TAKEN): _S.THINKING,
    (_S.LISTENING, _M.CALLER_SPEAKS): _S.LISTENING,
    (_S.LISTENING, _M.TURN_TAKEN): _S.THINKING,
    (_S.LISTENING, _M.BOT_SPEAKS): _S.SPEAKING,  # a reprompt, a warning
    (_S.LISTENING, _M.BOT_DONE): _S.LISTENING,
    (_S.THINKING, _M.CALLER_SPEAKS): _S.LISTENING,  # went on speaking: the turn is discarded
    (_S.THINKING, _M.TURN_TAKEN): _S.THINKING,
    (_S.THINKING, _M.BOT_SPEAKS): _S.SPEAKING,
    (_S.THINKING, _M.BOT_DONE): _S.LISTENING,
    (_S.SPEAKING, _M.BOT_SPEAKS): _S.SPEAKING,
    (_S.SPEAKING, _M.CALLER_SPEAKS): _S.LISTENING,  # barge-in
    (_S.SPEAKING, _M.TURN_TAKEN): _S.THINKING,
    (_S.SPEAKING, _M.BOT_DONE): _S.LISTENING,
    (_S.TRANSFERRING, _M.TRANSFER_FAILED): _S.LISTENING,
    (_S.TRANSFERRING, _M.BOT_SPEAKS): _S.TRANSFERRING,
    (_S.TRANSFERRING, _M.BOT_DONE): _S.TRANSFERRING,
    (_S.TRANSFERRING, _M.CALLER_SPEAKS): _S.TRANSFERRING,
    (_S.TRANSFERRING, _M.TURN_TAKEN): _S.TRANSFERRING,
}
for _state in State:
    if _state is not State.ENDED:
        TABLE[_state, Move.END] = State.ENDED
    if _state in (_S.GREETING, _S.LISTENING, _S.THINKING, _S.SPEAKING):
        TABLE[_state, Move.TRANSFER] = State.TRANSFERRING


class Patience(StrEnum):
    """What to do when the caller has been silent for long enough."""

    REPROMPT = "reprompt"
    GOODBYE = "goodbye"


@dataclass(slots=True)
class Session:
    """Where one call is, and how patient it still is."""

    reprompts: int  # how often a silent caller is asked again
    state: State = State.RINGING
    asked: int = 0

    def apply(self, move: Move) -> State:
        """Make a move; returns the new state. Raises `WrongMove`, changing nothing."""
        try:
            self.state = TABLE[self.state, move]
        except KeyError:
            raise WrongMove(f"{move} while {self.state}") from None
        if move in (Move.CALLER_SPEAKS, Move.TURN_TAKEN):
            self.asked = 0
        return self.state

    @property
    def waits_for_caller(self) -> bool:
        """True where a silence counts against the caller's patience timer."""
        return self.state is State.LISTENING

    def silence(self) -> Patience:
        """The caller said nothing for `silence_s`: ask again, or give up."""
        if self.asked >= self.reprompts:
            return Patience.GOODBYE
        self.asked += 1
        return Patience.REPROMPT
