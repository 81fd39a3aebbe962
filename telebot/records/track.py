"""One recording between the pieces of audio that come and the file they go to.

Two channels with a clock each: pieces carry the sample they begin at and may come late, twice, or
not at all. What is recent waits in memory until both channels have caught up; what comes after
that is put into the file where it belongs. Runs in the thread of `recording.py`.
"""

from __future__ import annotations

import audioop
import os
from collections.abc import Iterable

import numpy as np

from telebot.audio.g711 import RATE_HZ, SILENCE
from telebot.records import wav

CALLER, BOT = 0, 1  # left, right
LAG_SAMPLES = RATE_HZ // 2  # so far one channel may trail the other without a second write
AHEAD_S = 10.0  # audio may lie this far ahead of the time that has passed, and one percent
Piece = tuple[int, bytes]


class Track:
    """Stereo samples on their way into one open file."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.frames = 0  # in the file
        self.dropped_samples = 0
        self._ahead = (bytearray(), bytearray())  # mu-law from `frames` on, a channel each

    def put(self, channel: int, pieces: Iterable[Piece], elapsed_s: float) -> None:
        """Take pieces of one channel. What claims to lie far past `elapsed_s` is dropped: a clock
        gone wrong must not make a file of hours. Raises OSError."""
        limit = min(int((elapsed_s * 1.01 + AHEAD_S) * RATE_HZ), wav.MAX_FRAMES)
        ahead, head = self._ahead[channel], self.frames
        for at, ulaw in pieces:
            end = at + len(ulaw)
            if at - head == len(ahead) and end <= limit:  # the next piece, as nearly always
                ahead += ulaw
                continue
            if at < 0 or end > limit:
                self.dropped_samples += len(ulaw)
                continue
            if at < head:
                self._mend(channel, at, ulaw[: head - at])
            fresh = ulaw if at >= head else ulaw[head - at :]
            if not fresh:
                continue
            place = end - len(fresh) - head
            if place > len(ahead):
                ahead.extend(SILENCE * (place - len(ahead)))
            ahead[place : end - head] = fresh

    def flush(self, *, last: bool = False) -> None:
        """Write what both channels have passed, or, at the end, everything. Raises OSError."""
        longest = max(len(self._ahead[CALLER]), len(self._ahead[BOT]))
        count = longest if last else longest - LAG_SAMPLES
        if count <= 0:
            return
        stereo = np.zeros((count, 2), "<i2")
        for channel, ahead in enumerate(self._ahead):
            ulaw = bytes(ahead[:count])
            stereo[: len(ulaw), channel] = np.frombuffer(audioop.ulaw2lin(ulaw, 2), np.int16)
        offset = wav.HEADER_BYTES + self.frames * wav.FRAME_BYTES
        wav.write_at(self.descriptor, stereo.tobytes(), offset)
        wav.write_at(self.descriptor, wav.header(self.frames + count), 0)
        self.frames += count
        for ahead in self._ahead:
            del ahead[:count]

    @property
    def seconds(self) -> float:
        return self.frames / RATE_HZ

    def _mend(self, channel: int, at: int, ulaw: bytes) -> None:
        """Replace samples of one channel that are in the file already."""
        if not ulaw:
            return
        offset = wav.HEADER_BYTES + at * wav.FRAME_BYTES
        there = os.pread(self.descriptor, len(ulaw) * wav.FRAME_BYTES, offset)
        stereo = np.frombuffer(there, "<i2").reshape(-1, 2).copy()
        stereo[:, channel] = np.frombuffer(audioop.ulaw2lin(ulaw, 2), np.int16)[: len(stereo)]
        wav.write_at(self.descriptor, stereo.tobytes(), offset)
