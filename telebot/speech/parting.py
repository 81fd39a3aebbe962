"""The end of a call that must end but not in the middle of a sentence.

Looks for the moment: the bot's sentence is said, or nobody speaks. A caller who is speaking, or
waits for an answer, gets its first sentence. Then, or after `LONGEST_S` at the latest, the goodbye.
"""

from __future__ import annotations

from collections.abc import Callable

from telebot.audio.line import TICKS_PER_S
from telebot.speech.closing import Closing
from telebot.speech.parts import Parts
from telebot.speech.reply import Reply
from telebot.speech.timers import Timers

LONGEST_S = 10.0
LOOK_EVERY_S = 0.1
LEAST_S = 0.02


class Parting:
    """One call's, `begin`s once; it uses the timer ``parting``."""

    def __init__(
        self, parts: Parts, closing: Closing, timers: Timers, goodbye: Callable[[], None]
    ) -> None:
        self._parts = parts
        self._closing = closing
        self._timers = timers
        self._goodbye = goodbye
        self._left_s = LONGEST_S
        self._reply: Reply | None = None  # the one whose sentence is waited for
        self._from = 0  # the position from which a sentence's end counts

    def begin(self) -> None:
        """Find the moment, from now on."""
        delay_s = self._wait_s()
        if delay_s <= 0 or self._left_s <= 0:
            self._goodbye()
            return
        delay_s = min(delay_s, self._left_s)
        self._left_s -= delay_s
        self._timers.after("parting", delay_s, self.begin)

    def _wait_s(self) -> float:
        """How long until the goodbye may be said, or until it must be looked again."""
        parts, reply = self._parts, self._parts.replies.current
        if self._closing.ending or parts.turns.speaking or parts.turns.open:
            return LOOK_EVERY_S
        if reply is None:
            return 0.0 if parts.session.waits_for_caller else LOOK_EVERY_S
        if reply.start is None:
            return LOOK_EVERY_S  # its first sentence is on the way
        played = parts.voice.played()
        if reply is not self._reply:
            self._reply, self._from = reply, max(played, reply.start)
        end = reply.sentence_end(self._from, parts.voice.queued)
        if end is None:
            return LOOK_EVERY_S
        return 0.0 if played >= end else max(LEAST_S, (end - played) / TICKS_PER_S)
