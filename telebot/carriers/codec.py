"""What most codecs have in common: a `MediaCodec` of a wire that has audio and nothing else.

A carrier's codec overrides what its wire can do. Next: `web/media_stream.py`.
"""

from __future__ import annotations

from collections.abc import Sequence

from telebot.call.errors import Unable
from telebot.call.events import Ignored, MediaEvent

PACED_LEAD_MS = (
    40  # for a peer that plays what it gets as it gets it: late by 20 ms still is in time
)


class PlainCodec:
    """No marks, no clear, no courtesies, no digits out."""

    lead_ms: int | None = None
    piece_ms: int | None = None
    echoes_marks = True
    binary = False
    close_ends = False

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

    lead_ms = PACED_LEAD_MS
    echoes_marks = False
