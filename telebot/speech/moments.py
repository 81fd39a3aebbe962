"""When the caller of a turn has spoken, or written: where it lies in the recording, and from when
on an answer is waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

from telebot.speech.brain import DIGITS_PREFIX
from telebot.speech.ear import StreamClock
from telebot.speech.reply import Reply
from telebot.speech.turns import TurnTaking


@dataclass(slots=True)
class Moments:
    """One caller's. `*_ms` are of the carrier's stream."""

    turn_start_ms: float = 0.0
    speech_start_ms: float = 0.0
    speech_end_ms: float = 0.0
    written_at: float | None = None  # clock time; the turn that is taken now was never spoken

    def started(self, at_ms: float) -> float:
        """Speech has begun; seconds."""
        self.speech_start_ms = at_ms
        return at_ms / 1000

    def stopped(self, at_ms: float) -> tuple[float, float]:
        """It is over; seconds from when to when."""
        self.speech_end_ms = at_ms
        return round(self.speech_start_ms / 1000, 3), round(at_ms / 1000, 3)

    def give(self, reply: Reply, text: str, turns: TurnTaking, stream: StreamClock) -> None:
        """The share of the reply to a turn. Keyed digits do not tell when it was over."""
        at, self.written_at = self.written_at, None
        if at is not None:
            reply.speech_end_at, reply.speech_end_ms = at, stream.ms_at(at)
            reply.caller_offset_s = round(reply.speech_end_ms / 1000, 3)
        elif turns.voiced and not text.startswith(DIGITS_PREFIX):
            reply.speech_end_at, reply.speech_end_ms = turns.ended_at, self.speech_end_ms
            reply.text_at = turns.text_at
            reply.caller_offset_s = round(self.turn_start_ms / 1000, 3)
