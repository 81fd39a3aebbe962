"""What a call was about, for the person who takes it over: its notes and the caller's last words.

Stands in a call's log and remembers; the agent's phrase `transfer_summary` says it (`dialog/`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any

from telebot.call.model import Call, Note, Turn
from telebot.call.ports import CallLog
from telebot.dialog import speaking

MAX_WORDS = 50  # of the whole: 20 s at the pace of carriers' voices
MAX_LAST_WORDS = 20
MAX_NOTES_WORDS = 30
MAX_TURNS = 2
KINDS = {"booking": "a booking", "cancellation": "a cancellation", "message": "a message"}

# (agent's phrase with these values filled in) -> text
Say = Callable[[Mapping[str, str]], str]


class Gist:
    """The log of one call that also remembers what a person has to know."""

    def __init__(self, log: CallLog, caller: str, say: Say, now: Callable[[], datetime]) -> None:
        self._log = log
        self._caller = caller
        self._say = say
        self._now = now
        self._notes: list[Note] = []
        self._said: list[str] = []
        self.opened, self.dialled, self.answered = log.opened, log.dialled, log.answered
        self.state, self.used, self.event, self.closed = log.state, log.used, log.event, log.closed

    def turn(self, call: Call, turn: Turn) -> None:
        """Remember what the caller said, and pass it on."""
        if turn.caller_text:
            self._said = [*self._said, turn.caller_text][-MAX_TURNS:]
        self._log.turn(call, turn)

    def note(self, call: Call, note: Note) -> None:
        """Remember it, and pass it on."""
        if note.replaces:
            self._notes = [other for other in self._notes if other.kind != note.kind]
        self._notes.append(note)
        self._log.note(call, note)

    def summary(self) -> str:
        """What the person is told; at most 20 s of it."""
        last = " ".join(text.strip().rstrip(".!?") + "." for text in self._said)
        notes = " ".join(_told(note, self._now().date()) for note in self._notes)
        return _cut(
            self._say(
                {
                    "caller": speaking.phone(self._caller),
                    "notes": _cut(notes, MAX_NOTES_WORDS),
                    "last_words": " ".join(last.split()[-MAX_LAST_WORDS:]),
                }
            ),
            MAX_WORDS,
        )


def _told(note: Note, today: date) -> str:
    parts = (f"{name.replace('_', ' ')} {_spoken(it, today)}" for name, it in note.fields.items())
    kind = KINDS.get(note.kind, note.kind)
    return f"{kind[:1].upper()}{kind[1:]}: {', '.join(parts)}."


def _spoken(value: Any, today: date) -> str:
    """A field's value as it is said."""
    text = str(value)
    if isinstance(value, int):
        return speaking.number(value)
    if text.removeprefix("+").isdecimal():
        return speaking.phone(text)
    try:
        if len(text) == 5:
            return speaking.clock(time.fromisoformat(text))
        return speaking.day(date.fromisoformat(text), today)
    except ValueError:
        return text


def _cut(text: str, words: int) -> str:
    """At most so many words, printable ones; what was cut ends in a stop."""
    text = "".join(char if char.isprintable() else " " for char in text)
    split = text.split()
    return text if len(split) <= words else " ".join(split[:words]).rstrip(".,;:") + "."
