"""What most codecs have in common: a `MediaCodec` of a wire that has audio and nothing else.

A carrier's codec overrides what its wire can do. Next: `web/media_stream.py`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from telebot.audio.g711 import BYTES_PER_MS, RATE_HZ
from telebot.audio.line import PHONE, Line
from telebot.call.errors import Unable
from telebot.call.events import Ignored, MediaEvent
from telebot.call.ports import Clock

PACED_LEAD_MS = (
    40  # for a peer that plays what it gets as it gets it: late by 20 ms still is in time
)

PAUSE = RATE_HZ * 3 // 10  # samples: a peer that stays behind by so much has paused
WATCHED_S = 0.5  # over so long


class PlainCodec:
    """No marks, no clear, no courtesies, no digits out."""

    line: Line = PHONE
    lead_ms: int | None = None
    piece_ms: int | None = None
    echoes_marks = True
    binary = False
    close_ends = False
    farewell_s: float = 0.0
    says_every_end = False
    close_codes: Mapping[str, int] = MappingProxyType({})

    def decode(self, message: bytes) -> MediaEvent:
        """Text means nothing."""
        return Ignored("text")

    def decode_binary(self, message: bytes) -> MediaEvent:
        """Binary means nothing."""
        return Ignored("binary")

    def mark(self, name: str) -> bytes | None:
        """The wire has no marks."""
        return None

    def clear(self) -> bytes | None:
        """The peer keeps nothing."""
        return None

    def accepted(self) -> Sequence[bytes]:
        """Nothing to say."""
        return ()

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """Closing says it all."""
        return ()

    def digits(self, digits: str) -> Sequence[bytes]:
        """Raises `Unable`."""
        raise Unable("this carrier's media stream takes no digits")


class PacedCodec(PlainCodec):
    """A wire whose peer keeps no audio: it is sent in time, and our own clock tells what was
    played."""

    lead_ms: int | None = PACED_LEAD_MS
    echoes_marks = False


class Stamps:
    """Timestamps for a wire that has none: audio is counted. A peer that has paused (music, a
    transfer) is behind its own audio for good, and the count is set forward; one that was only late
    catches up, and it is not. One that may be silent for as long as it likes, and has been so for
    `silent_s`, has paused without being watched."""

    def __init__(self, clock: Clock = time.monotonic, *, silent_s: float = math.inf) -> None:
        self._clock = clock
        self._silent_s = silent_s
        self._began: float | None = None
        self._last = 0.0  # clock time of the last frame
        self._samples = 0
        self._least = 0.0  # behind, while it is being watched
        self._since: float | None = None  # when that began

    def begin(self) -> float:
        """Time is counted from now on instead of from the first frame, which lies where it comes;
        returns the clock's."""
        self._began, self._last = self._clock(), -math.inf
        return self._began

    def next(self, samples: int) -> int:
        """When a frame of so many samples of a telephone's begins, in ms since the first one
        began."""
        now = self._clock()
        if self._began is None:
            self._began = now - samples / RATE_HZ
        elif now - self._last >= self._silent_s:
            reached = int((now - self._began) * RATE_HZ) - samples
            self._samples, self._since = max(self._samples, reached), None
        self._last = now
        begins = self._samples
        self._samples += samples
        behind = (now - self._began) * RATE_HZ - self._samples
        if self._since is None:
            self._least, self._since = behind, now
        self._least = min(self._least, behind)
        if now - self._since >= WATCHED_S:
            if self._least > PAUSE:
                self._samples += int(self._least)
            self._since = None
        return begins // BYTES_PER_MS
