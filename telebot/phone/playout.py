"""The carrier's play-out buffer: what the bot sent, and what of it reached the caller's ear when.

Audio is appended, played at 8 kHz in real time, and a mark is acknowledged when what was sent
before it has been played; `clear` drops what was not played and acknowledges every waiting mark
(https://www.twilio.com/docs/voice/media-streams/websocket-messages). Positions are samples of 8 kHz
mu-law since the stream began. No clock in here: `stream.py` says up to where to play.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from telebot.audio import g711, levels

AUDIBLE_RMS = 100  # -50 dBFS: above line noise and coding hiss, below any spoken sound
BRIDGED = 800  # samples: stretches of voice closer than 100 ms are one
LONGEST_BUFFER = 120 * g711.RATE_HZ  # nobody may queue more than two minutes


@dataclass(slots=True)
class Span:
    """Samples from `start` up to `end` of the call's own clock."""

    start: int
    end: int


class PlayOut:
    """Bot audio on its way to the caller's ear."""

    def __init__(self, *, keep_audio: bool = True) -> None:
        self.position = 0
        self.audio: list[Span] = []  # where anything at all was played
        self.voice: list[Span] = []  # where it was loud enough to be heard
        self._played: bytearray | None = bytearray() if keep_audio else None
        self._buffer: deque[bytes] = deque()
        self._buffered = 0
        self._marks: deque[tuple[int, str]] = deque()

    @property
    def buffered(self) -> int:
        """Samples that wait to be played."""
        return self._buffered

    @property
    def next_mark(self) -> int | None:
        """The position at which the next mark will be acknowledged."""
        return self._marks[0][0] if self._marks else None

    def append(self, ulaw: bytes) -> bool:
        """Queue audio; False where the buffer is full and the audio was dropped."""
        if self._buffered + len(ulaw) > LONGEST_BUFFER:
            return False
        if ulaw:
            self._buffer.append(ulaw)
            self._buffered += len(ulaw)
        return True

    def mark(self, name: str) -> None:
        """Acknowledge `name` once all audio queued so far was played."""
        self._marks.append((self.position + self._buffered, name))

    def clear(self) -> tuple[bytes, list[str]]:
        """Drop what was not played: the audio dropped, the marks acknowledged at once."""
        dropped, names = b"".join(self._buffer), [name for _, name in self._marks]
        self._buffer.clear()
        self._marks.clear()
        self._buffered = 0
        return dropped, names

    def advance(self, to: int) -> list[str]:
        """Play up to position `to`; the marks that were reached, in order."""
        count = to - self.position
        if count > 0:
            heard = self._take(count)
            if heard:
                self._note(heard)
            if self._played is not None:
                self._played += heard + g711.SILENCE * (count - len(heard))
            self.position = to
        names = []
        while self._marks and self._marks[0][0] <= self.position:
            names.append(self._marks.popleft()[1])
        return names

    def heard(self, start: int = 0, end: int | None = None) -> bytes:
        """mu-law as it was played between two positions, silence included."""
        if self._played is None:
            raise ValueError("this play-out keeps no audio")
        return bytes(self._played[start:end])

    def sent(self, start: int = 0, end: int | None = None) -> bytes:
        """mu-law of the bot alone that was played between two positions: without the silence where
        there was nothing to play."""
        last = self.position if end is None else end
        spans = [(max(start, span.start), min(last, span.end)) for span in self.audio]
        return b"".join(self.heard(low, high) for low, high in spans if low < high)

    def _take(self, count: int) -> bytes:
        parts = []
        while count and self._buffer:
            part = self._buffer.popleft()
            if len(part) > count:
                self._buffer.appendleft(part[count:])
                part = part[:count]
            parts.append(part)
            count -= len(part)
            self._buffered -= len(part)
        return b"".join(parts)

    def _note(self, heard: bytes) -> None:
        start, end = self.position, self.position + len(heard)
        _extend(self.audio, start, end, 0)
        for at in range(0, len(heard), 160):
            piece = heard[at : at + 160]
            if levels.ulaw_rms(piece) > AUDIBLE_RMS:
                _extend(self.voice, start + at, start + at + len(piece), BRIDGED)


def _extend(spans: list[Span], start: int, end: int, gap: int) -> None:
    if spans and start - spans[-1].end <= gap:
        spans[-1].end = end
    else:
        spans.append(Span(start, end))
