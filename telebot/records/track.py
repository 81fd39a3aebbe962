"""One recording between the pieces of audio that come and the file they go to.

Two channels with a clock each: pieces carry the sample they begin at and may come late, twice, or
not at all. What is recent waits in memory until both channels have caught up; what comes after
that is put into the file where it belongs. Of a wide line what is heard is kept as it is, and what
is said brought to the same rate. Runs in the thread of `recording.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np

from telebot.audio.line import PHONE, TICKS_PER_S, Form, Line
from telebot.audio.wideband import Converted
from telebot.records import wav

CALLER, BOT = 0, 1  # left, right
LAG_TICKS = TICKS_PER_S // 2  # so far one channel may trail the other without a second write
AHEAD_S = 10.0  # audio may lie this far ahead of the time that has passed, and one percent
Piece = tuple[int, bytes]


class Track:
    """Stereo samples on their way into one open file, made by `wav.create` at the rate at which the
    `line` hears."""

    def __init__(self, descriptor: int, line: Line = PHONE) -> None:
        self.descriptor = descriptor
        self._form = form = line.hears
        self._rate_hz = form.rate_hz
        self._size = form.bytes_a_tick * TICKS_PER_S // form.rate_hz  # bytes a sample, as they come
        self._lanes = (_Lane(form, form), _Lane(line.says, form))
        self.frames = 0  # in the file
        self.dropped_samples = 0
        self._ahead = (bytearray(), bytearray())  # from `frames` on, a channel each

    def put(self, channel: int, pieces: Iterable[Piece], elapsed_s: float) -> None:
        """Take pieces of one channel, whose positions are ticks. What claims to lie far past
        `elapsed_s` is dropped: a clock gone wrong must not make a file of hours. Raises OSError."""
        limit = min(int((elapsed_s * 1.01 + AHEAD_S) * self._rate_hz), wav.MAX_FRAMES)
        ahead, head, size = self._ahead[channel], self.frames, self._size
        for at_tick, piece in pieces:
            at, audio = self._lanes[channel].placed(at_tick, piece)
            samples = len(audio) // size
            end = at + samples
            if (at - head) * size == len(ahead) and end <= limit:  # the next, as nearly always
                ahead += audio
                continue
            if at < 0 or end > limit:
                self.dropped_samples += samples
                continue
            if at < head:
                self._mend(channel, at, audio[: (head - at) * size])
            fresh = audio if at >= head else audio[(head - at) * size :]
            if not fresh:
                continue
            place = (end - head) * size - len(fresh)
            if place > len(ahead):
                ahead.extend(self._form.silent * (place - len(ahead)))
            ahead[place : place + len(fresh)] = fresh

    def flush(self, *, last: bool = False) -> None:
        """Write what both channels have passed, or, at the end, everything. Raises OSError."""
        longest = max(len(self._ahead[CALLER]), len(self._ahead[BOT])) // self._size
        count = longest if last else longest - LAG_TICKS * self._rate_hz // TICKS_PER_S
        if count <= 0:
            return
        stereo = np.zeros((count, 2), "<i2")
        for channel, ahead in enumerate(self._ahead):
            samples = np.frombuffer(self._form.to_pcm(bytes(ahead[: count * self._size])), np.int16)
            stereo[: len(samples), channel] = samples
        offset = wav.HEADER_BYTES + self.frames * wav.FRAME_BYTES
        wav.write_at(self.descriptor, stereo.tobytes(), offset)
        wav.write_at(self.descriptor, wav.header(self.frames + count, self._rate_hz), 0)
        self.frames += count
        for ahead in self._ahead:
            del ahead[: count * self._size]

    @property
    def seconds(self) -> float:
        return self.frames / self._rate_hz

    def _mend(self, channel: int, at: int, audio: bytes) -> None:
        """Replace samples of one channel that are in the file already."""
        if not audio:
            return
        samples = np.frombuffer(self._form.to_pcm(audio), np.int16)
        offset = wav.HEADER_BYTES + at * wav.FRAME_BYTES
        there = os.pread(self.descriptor, len(samples) * wav.FRAME_BYTES, offset)
        stereo = np.frombuffer(there, "<i2").reshape(-1, 2).copy()
        stereo[:, channel] = samples[: len(stereo)]
        wav.write_at(self.descriptor, stereo.tobytes(), offset)


class _Lane:
    """One channel's audio on its way to the rate of the file. What follows on what came before goes
    through one filter, so that no seam is heard."""

    def __init__(self, form: Form, to: Form) -> None:
        self._form = form
        self._to_hz = to.rate_hz
        self._converted: Converted | None = None
        self._next_tick = -1
        self._next = 0  # sample of the file

    def placed(self, at_tick: int, audio: bytes) -> tuple[int, bytes]:
        """Where a piece begins in the file, in samples, and its audio there."""
        at = at_tick * self._to_hz // TICKS_PER_S
        if self._form.rate_hz == self._to_hz:
            return at, audio
        if self._converted is None or at_tick != self._next_tick:
            self._converted, self._next = Converted(self._form.rate_hz, self._to_hz), at
        at, out = self._next, self._converted.feed(audio)
        self._next_tick = at_tick + self._form.ticks(audio)
        self._next = at + len(out) // 2
        return at, out
