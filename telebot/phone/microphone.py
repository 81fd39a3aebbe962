"""The caller's mouth: utterances in 20 ms frames, over the noise of the line.

`stream.py` asks for one frame every 20 ms of the call's clock; `sound.py` makes the utterances.
"""

from __future__ import annotations

import audioop
import random
from collections import deque
from dataclasses import dataclass

from telebot.audio import g711
from telebot.phone.playout import Span

FRAME = 160  # samples, 20 ms
NOISE_S = 3.0
FULL_SCALE = 32768


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something to say: 16-bit PCM at 8 kHz, and where in it speech begins and ends (samples)."""

    text: str
    pcm16: bytes
    start: int
    end: int


@dataclass(slots=True)
class Spoken:
    """An utterance on its way; `speech` is where its words lie on the call's clock."""

    utterance: Utterance
    begun_at: int = -1  # position of its first frame, -1 while it waits
    done: bool = False

    @property
    def speech(self) -> Span:
        """First to last loud sample. Raises ValueError before it has begun."""
        if self.begun_at < 0:
            raise ValueError("not spoken yet")
        return Span(self.begun_at + self.utterance.start, self.begun_at + self.utterance.end)


class Microphone:
    """Gives one frame after the other: the utterance that is being said, or the line's noise.

    `noise_dbfs` is the level of the line's noise, which lies under the speech too; None is
    digital silence."""

    def __init__(self, noise_dbfs: float | None, *, seed: int = 1, keep_audio: bool = True) -> None:
        self._noise = _noise(noise_dbfs, seed) if noise_dbfs is not None else b""
        self._noise_at = 0
        self._queue: deque[Spoken] = deque()
        self._said: bytearray | None = bytearray() if keep_audio else None
        self._offset = 0

    def speak(self, utterance: Utterance) -> Spoken:
        """Say it after what is being said; it begins with the next frame."""
        spoken = Spoken(utterance)
        self._queue.append(spoken)
        return spoken

    def frame(self, position: int) -> bytes:
        """The mu-law frame that begins at `position`."""
        pcm16 = self._speech(position)
        if self._noise:
            noise = self._noise[self._noise_at : self._noise_at + 2 * FRAME]
            self._noise_at = (self._noise_at + 2 * FRAME) % len(self._noise)
            pcm16 = audioop.add(pcm16, noise, 2) if pcm16 else noise
        ulaw = g711.encode(pcm16) if pcm16 else g711.SILENCE * FRAME
        if self._said is not None:
            self._said += ulaw
        return ulaw

    def said(self, start: int = 0, end: int | None = None) -> bytes:
        """mu-law as it was sent between two positions."""
        if self._said is None:
            raise ValueError("this microphone keeps no audio")
        return bytes(self._said[start:end])

    def _speech(self, position: int) -> bytes:
        if not self._queue:
            return b""
        spoken = self._queue[0]
        if spoken.begun_at < 0:
            spoken.begun_at = position
        pcm16 = spoken.utterance.pcm16[2 * self._offset : 2 * (self._offset + FRAME)]
        self._offset += FRAME
        if 2 * self._offset >= len(spoken.utterance.pcm16):
            spoken.done = True
            self._queue.popleft()
            self._offset = 0
        return pcm16.ljust(2 * FRAME, b"\0")


def _noise(level_dbfs: float, seed: int) -> bytes:
    """White noise of whole frames, the same for the same seed."""
    source = random.Random(seed)
    rms = FULL_SCALE * 10 ** (level_dbfs / 20)
    samples = (round(source.gauss(0, rms)) for _ in range(round(NOISE_S * g711.RATE_HZ)))
    return b"".join(
        max(-FULL_SCALE, min(FULL_SCALE - 1, s)).to_bytes(2, "little", signed=True) for s in samples
    )
