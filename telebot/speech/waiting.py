"""The wait for a reply to the caller's turn: masked by a filler, ended by an honest sentence.

`answering.py` begins it with a turn; the reply's first audio, or its end, ends it.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from telebot.speech.parts import Parts
from telebot.speech.reply import Reply
from telebot.speech.timers import Timers

AFTER_ERROR_S = 1.5  # what a reply has left to begin once its provider reported an error
AGAIN_S = 0.2  # a filler that would be said over the caller is thought of again after this
log = structlog.get_logger()


class Waiting:
    """One call's. It uses the timers ``reply`` and ``filler``. `goodbye` takes the reason for which
    the call ends."""

    def __init__(
        self,
        parts: Parts,
        timers: Timers,
        *,
        note_event: Callable[[str], None],
        goodbye: Callable[[str], None],
    ) -> None:
        self._parts = parts
        self._timers = timers
        self._note_event = note_event
        self._goodbye = goodbye
        self.reply: Reply | None = None
        """The reply to the last turn, until it is over."""

    def begin(self, reply: Reply) -> None:
        """`reply` answers a turn of the caller's."""
        self.reply = reply
        self._timers.after("reply", self._parts.speech.reply_timeout_s, self._late)
        if self._parts.fillers is not None:
            self._timers.after("filler", self._parts.fillers.after_s, self._fill)

    def stop(self) -> None:
        """The reply is audible, or not wanted any more."""
        self._timers.cancel("reply", "filler")

    def over(self, reply: Reply) -> None:
        """`reply` was said or cut; it may be another one."""
        if reply is self.reply:
            self.reply = None
            self.stop()
            self.filled = False

    def provider_failed(self) -> None:
        """A provider reported an error: a reply that has not begun may never begin."""
        reply = self._parts.replies.current
        if reply is not None and reply is self.reply and reply.start is None:
            self._timers.after("reply", AFTER_ERROR_S, self._late)

    @property
    def filled(self) -> bool:
        """This turn had its filler."""
        return self._parts.fillers is not None and self._parts.fillers.said

    @filled.setter
    def filled(self, said: bool) -> None:
        if self._parts.fillers is not None:
            self._parts.fillers.said = said

    def _late(self) -> None:
        """The brain or the voice does not answer: an honest sentence instead of silence."""
        log.warning("reply timed out", call_id=self._parts.call.id)
        self._note_event("reply_timeout")
        self._goodbye("server_error")

    def _fill(self) -> None:
        """The reply has no audio yet: say so, unless the caller speaks."""
        parts, reply = self._parts, self._parts.replies.current
        if parts.fillers is None or reply is None or reply is not self.reply or reply.audible:
            return
        if parts.turns.speaking or parts.turns.contested or parts.voice.held:
            self._timers.after("filler", AGAIN_S, self._fill)
        elif phrase := parts.fillers.next():
            self._note_event("filler")
            parts.replies.fill(phrase)
