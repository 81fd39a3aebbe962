"""Did the bot go on where it had been cleared, or begin to say something else?

The wire does not tell: a bot that holds its voice empties the carrier's buffer too, and sends the
same audio again when it goes on. Audio is coded once, so what is said again is the same bytes.
"""

from __future__ import annotations

from telebot.audio import g711, levels

KEPT = 3 * g711.RATE_HZ  # bots go back to the beginning of the word, or of the sentence part
COMPARED = 1200  # samples, 150 ms of speech: enough that no two stretches are alike
AUDIBLE_RMS = 300
STEP = 160


class Resumption:
    """Compares what comes after a clear with what was being said before it."""

    def __init__(self, before: bytes, dropped: bytes) -> None:
        self._said = before[-KEPT:] + dropped
        self._after = bytearray()

    def feed(self, ulaw: bytes) -> bool | None:
        """The next audio; None while it is too little to tell."""
        self._after += ulaw
        for at in range(0, len(self._after), STEP):
            if levels.ulaw_rms(bytes(self._after[at : at + STEP])) > AUDIBLE_RMS:
                break
        else:
            self._after.clear()  # silence tells nothing
            return None
        if len(self._after) < at + COMPARED:
            return None
        return bytes(self._after[at : at + COMPARED]) in self._said
