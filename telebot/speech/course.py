"""What a conversation goes by while it lasts, besides its parts: record, order, patience, ending.

`conversation.py` makes it once the stream is up; both sides of the talk, `caller.py` and
`answering.py`, live by it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from telebot.call.session import Move
from telebot.speech.closing import Closing
from telebot.speech.diary import Diary
from telebot.speech.effects import Effects
from telebot.speech.mailbox import Mailbox
from telebot.speech.moments import Moments
from telebot.speech.parts import Outside, Parts
from telebot.speech.silence import Silence
from telebot.speech.timers import Timers


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One call's. `move` makes a move in the state table."""

    outside: Outside
    parts: Parts
    timers: Timers
    effects: Effects
    diary: Diary
    moments: Moments
    mailbox: Mailbox
    silence: Silence
    closing: Closing
    move: Callable[[Move], None]
