"""Exactly one `Termination` for every call, whatever happened and however often it is said."""

from __future__ import annotations

from collections.abc import Callable

from telebot.call.model import Call, Result, State, Termination
from telebot.call.ports import CallLog, WallClock

COMPLETED = frozenset(
    {
        "caller_hangup",
        "bot_hangup",
        "silence",
        "max_duration",
        "budget",
        "drained",
        "carrier_ended",
        "operator_hangup",
        "message_taken",
    }
)
REFUSED = frozenset({"capacity", "draining", "unknown_number"})
NO_MEDIA = frozenset({"no_media", "no_ack"})
UNANSWERED = frozenset({"busy", "no_answer", "declined", "unreachable", "dial_failed", "cancelled"})


def termination(reason: str) -> Termination:
    """The result that goes with a reason; what is not named here is a failure."""
    if reason in COMPLETED:
        return Termination(Result.COMPLETED, reason)
    if reason in REFUSED:
        return Termination(Result.REFUSED, reason)
    if reason in NO_MEDIA:
        return Termination(Result.NO_MEDIA, reason)
    if reason in UNANSWERED:
        return Termination(Result.UNANSWERED, reason)
    if reason == "transferred":
        return Termination(Result.TRANSFERRED, reason)
    return Termination(Result.FAILED, reason)


class Endings:
    """Ends calls: the first reason stands, the record is closed once, the slot is given back."""

    def __init__(self, log: CallLog, now: WallClock, freed: Callable[[Call], None]) -> None:
        self._log = log
        self._now = now
        self._freed = freed

    def end(self, call: Call, reason: str) -> bool:
        """True where this ended the call, False where it had ended before."""
        if call.termination is not None:
            return False
        call.termination = termination(reason)
        if call.termination.result is Result.COMPLETED and call.answered_at is None:
            call.termination = Termination(Result.NO_MEDIA, reason)  # hung up before we answered
        call.ended_at = self._now()
        call.state = State.ENDED
        self._freed(call)
        self._log.closed(call, call.termination)
        return True
