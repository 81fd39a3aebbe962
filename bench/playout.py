"""The caller's end of a Twilio media stream: audio waits in a buffer and is played in real time.

Twilio plays `media` in order at 8 kHz, answers a `mark` when the audio sent before it has been
played, and on `clear` empties the buffer and answers every waiting mark at once
(https://www.twilio.com/docs/voice/media-streams/websocket-messages#send-websocket-messages-to-twilio).
Sans-IO: the caller of these methods brings the clock (seconds, monotonic). Used by `meter.py`.
"""

from __future__ import annotations

from collections import deque

BYTES_PER_S = 8000


class PlayoutBuffer:
    """How much of what arrived is still to be played, and which marks wait behind it."""

    def __init__(self) -> None:
        self.held_back_s = 0.0
        """So much later audio is played after the buffer was empty (a telephone's, for jitter)."""
        self.end_s = 0.0
        """When the last queued sample will have been played."""
        self.played_bytes = 0
        """Audio that arrived and was not cleared (all of it is or will be played)."""
        self._marks: deque[tuple[float, str]] = deque()

    def playing(self, now_s: float) -> bool:
        return self.end_s > now_s

    def ahead_s(self, now_s: float) -> float:
        """Seconds of audio still to be played."""
        return max(0.0, self.end_s - now_s)

    def media(self, size_bytes: int, now_s: float) -> float:
        """Queue audio; returns for how long the buffer had been dry (0.0 when it was not)."""
        dry_s = max(0.0, now_s - self.end_s)
        begins_s = now_s + self.held_back_s if dry_s else self.end_s
        self.end_s = begins_s + size_bytes / BYTES_PER_S
        self.played_bytes += size_bytes
        return dry_s

    def mark(self, name: str) -> None:
        """Queue a mark behind the audio that has arrived; see `due_marks`."""
        self._marks.append((self.end_s, name))

    def due_marks(self, now_s: float) -> list[str]:
        """Take the names of the marks whose audio has been played by now, in order."""
        due: list[str] = []
        while self._marks and self._marks[0][0] <= now_s:
            due.append(self._marks.popleft()[1])
        return due

    def clear(self, now_s: float) -> list[str]:
        """Drop what was not played; returns the names of all waiting marks, answered at once."""
        self.played_bytes -= round(self.ahead_s(now_s) * BYTES_PER_S)
        self.end_s = min(self.end_s, now_s)
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names
