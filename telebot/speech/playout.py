"""What the bot says, against what the caller has heard of it: the play-out clock of one call.

Pure bookkeeping, no I/O; time is handed in. Positions count ticks of bot audio since the call
began (8000 a second), so a position is a moment of what the bot says. Audio leaves at most
`lead` ahead of its play-out; what has been sent and not yet played lies in the carrier's buffer
and can be taken back by its clear. Sent audio is kept a little while, to be said again from the
start of the word at which it was cut.
"""

from __future__ import annotations

from telebot.audio.line import TICKS_PER_S, ULAW, Form

KEEP = 2 * TICKS_PER_S  # how much played audio is kept for saying it again


class PlayOut:
    """One call's bot audio: queued, sent, played. `piece` and `lead` are in ticks."""

    def __init__(self, piece: int, lead: int, form: Form = ULAW) -> None:
        self._tick = form.bytes_a_tick
        self._piece = piece
        self._lead_s = lead / TICKS_PER_S
        self._keep = lead + piece + KEEP
        self._content = bytearray()
        self._base = 0  # position of the first audio kept
        self.cursor = 0  # next position to send
        self.end = 0.0  # clock time at which everything sent is played
        self.held = False
        self._complete = 0  # nothing follows the audio before this position

    @property
    def queued(self) -> int:
        """Position after the last audio that was appended."""
        return self._base + len(self._content) // self._tick

    def append(self, audio: bytes) -> None:
        """Whole ticks."""
        self._content += audio

    def complete(self) -> None:
        """What is appended now is the end of an utterance: its last piece need not be whole."""
        self._complete = self.queued

    def played(self, now: float) -> int:
        """Position that the caller hears now, by the clock."""
        return self.cursor - max(0, int((self.end - now) * TICKS_PER_S))

    def idle(self, now: float) -> bool:
        """Everything appended was sent and played."""
        return self.cursor >= self.queued and now >= self.end

    def due(self, now: float) -> list[bytes]:
        """The pieces to send now: whole ones until `lead` ahead, and the tail when it is late."""
        pieces: list[bytes] = []
        if self.held:
            return pieces
        while self.cursor < self.queued and self.end - now < self._lead_s:
            left = self.queued - self.cursor
            late = self.end - now < self._piece / TICKS_PER_S
            if left < self._piece and not late and self.queued > self._complete:
                break  # more may come to fill the piece
            size = min(self._piece, left)
            start = (self.cursor - self._base) * self._tick
            pieces.append(bytes(self._content[start : start + size * self._tick]))
            self.cursor += size
            self.end = max(self.end, now) + size / TICKS_PER_S
        if pieces:
            self._forget()
        return pieces

    def cut(self, now: float) -> int:
        """The carrier's buffer is cleared: what was not played is unsent again. Returns where."""
        self.cursor = self.played(now)
        self.end = min(self.end, now)
        return self.cursor

    def rewind(self, position: int) -> None:
        """Say it again from `position`, as far back as is kept."""
        self.cursor = max(self._base, min(position, self.cursor))

    def drop(self, position: int = 0) -> None:
        """What was not sent, and lies behind `position`, is never said."""
        del self._content[(max(self.cursor, position) - self._base) * self._tick :]

    def between(self, start: int, stop: int) -> bytes:
        """The audio from position `start` to `stop`, as far as it is kept."""
        first, last = max(0, start - self._base), max(0, stop - self._base)
        return bytes(self._content[first * self._tick : last * self._tick])

    def _forget(self) -> None:
        spare = self.cursor - self._base - self._keep
        if spare > KEEP:  # in large steps: shifting a bytearray costs
            del self._content[: spare * self._tick]
            self._base += spare
