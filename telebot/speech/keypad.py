"""Keyed digits become one input: taken at ``#``, or after a pause."""

from __future__ import annotations

from collections.abc import Callable

from telebot.speech.timers import Later, Timer

MAX_DIGITS = 32
END_KEY = "#"


class Keypad:
    """Gathers DTMF keys of one call; `taken` gets the whole input, empty for a ``#`` alone."""

    def __init__(self, wait_s: float, later: Later, taken: Callable[[str], None]) -> None:
        self._wait_s = wait_s
        self._later = later
        self._taken = taken
        self._digits = ""
        self._timer: Timer | None = None

    def key(self, digit: str) -> None:
        """One key; more than `MAX_DIGITS` in a row are taken in parts."""
        self.close()
        if digit != END_KEY:
            self._digits += digit
        if digit == END_KEY or len(self._digits) >= MAX_DIGITS:
            self._take()
        else:
            self._timer = self._later(self._wait_s, self._take)

    def close(self) -> None:
        """Stop waiting; the digits so far stay."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _take(self) -> None:
        self.close()
        digits, self._digits = self._digits, ""
        self._taken(digits)
