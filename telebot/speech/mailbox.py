"""A message that a caller leaves when nobody can answer: spoken into the recording, kept as a note.

Where no provider is left and no person takes over, what runs on this machine still works: phrases
that lie ready, the detector, the recording. `closing.py` opens it; thanks and hang-up behind it are
a goodbye like any other.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from telebot.speech.timers import Timers

BEGIN_S = 7.0  # a caller who says nothing for this long has no message
PAUSE_S = 3.0  # and this much silence ends one
REQUEST = "leave_message"
TAKEN, NOTHING = "message_taken", "server_error"  # what the call ends by


@dataclass(frozen=True, slots=True)
class Message:
    """Where it lies in the recording, in seconds; `text` as far as somebody still understood it."""

    start_s: float
    end_s: float
    text: str


class Mailbox:
    """One call's. It uses the timers ``message`` and ``message end``."""

    def __init__(
        self,
        timers: Timers,
        longest_s: float,
        *,
        say: Callable[[str], bool],
        keep: Callable[[Message], None],
        goodbye: Callable[[str], None],
        now_s: Callable[[], float],
    ) -> None:
        self._timers = timers
        self._longest_s = longest_s  # 0: no messages are taken
        self._say = say
        self._keep = keep
        self._goodbye = goodbye
        self._now_s = now_s  # seconds of the recording
        self._listening = self._speaking = False
        self._start_s: float | None = None
        self._end_s = 0.0
        self._words: list[str] = []
        self.taking = False
        """The caller is asked for a message, or leaves it."""

    def open(self) -> bool:
        """Ask for a message. False where none can be taken."""
        if not self._longest_s or not self._say(REQUEST):
            return False
        self.taking = True
        if self._speaking:
            self._start_s = self._now_s()
        return True

    def asked(self) -> None:
        """The request was heard to its end."""
        if self.taking and not self._listening:
            self._listening = True
            self._timers.after("message end", self._longest_s, self.finish)
            if not self._speaking:
                self._timers.after("message", BEGIN_S, self.finish)

    def speech_started(self, at_s: float) -> None:
        self._speaking = True
        if self.taking:
            self._start_s = at_s if self._start_s is None else self._start_s
            self._timers.cancel("message")

    def speech_stopped(self, at_s: float) -> None:
        self._speaking, self._end_s = False, at_s
        if self.taking and self._listening:
            self._timers.after("message", PAUSE_S, self.finish)

    def heard(self, text: str) -> None:
        """A recogniser that still works says what it was."""
        if self.taking and self._start_s is not None:
            self._words.append(text.strip())

    def finish(self) -> None:
        """The message is over: say so."""
        if self.taking:
            self._goodbye(TAKEN if self.close() else NOTHING)

    def close(self) -> bool:
        """The call ends, or something else is said: keep what there is. Whether there was
        anything."""
        if not self.taking:
            return False
        self.taking = False
        self._timers.cancel("message", "message end")
        if self._start_s is None:
            return False
        end_s = self._now_s() if self._speaking else self._end_s
        self._keep(Message(self._start_s, max(end_s, self._start_s), " ".join(self._words)))
        return True
