"""What a conversation writes into its call's record while it goes on: events, states, notes, turns.

Behind it stands the call's log (`records/`); the ending is written by `call/ending.py`.
"""

from __future__ import annotations

from typing import Any

from telebot.call.model import Call, Note, State, Turn, WireEvent
from telebot.dialog.actions import Record
from telebot.speech.mailbox import Message
from telebot.speech.parts import Outside, Parts


class Diary:
    """One call's."""

    def __init__(self, outside: Outside, parts: Parts) -> None:
        self._log = outside.log
        self._clock, self._wall_clock = outside.clock, outside.wall_clock
        self._call: Call = parts.call
        self._stream = parts.ear.stream

    @property
    def now_s(self) -> float:
        """Seconds of the carrier's stream, which are those of the recording."""
        return self._stream.ms_at(self._clock()) / 1000

    def event(self, name: str, **fields: Any) -> None:
        """Something that happened."""
        self._log.event(
            self._call, WireEvent(self._wall_clock(), round(self.now_s, 3), name, fields)
        )

    def state(self, state: State) -> None:
        """The call's new state; its last one is written with its ending."""
        if state is not State.ENDED:
            self._call.state = state
            self._log.state(self._call)
        self.event("state", state=state.value)

    def turn(self, turn: Turn) -> None:
        self._log.turn(self._call, turn)

    def note(self, record: Record) -> None:
        """What the agent has written down."""
        note = Note(record.kind, dict(record.fields), self._wall_clock(), record.replaces)
        self._log.note(self._call, note)

    def message(self, message: Message) -> None:
        """What the caller has left for somebody to hear."""
        fields: dict[str, Any] = {
            "caller": self._call.offer.phone_person,
            "start_s": round(message.start_s, 2),
            "end_s": round(message.end_s, 2),
        }
        if message.text:
            fields["text"] = message.text
        self._log.note(self._call, Note("message", fields, self._wall_clock()))
