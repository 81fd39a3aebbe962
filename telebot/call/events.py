"""What a media stream says (`MediaEvent`) and is told (`MediaCommand` methods of `MediaWire`).

A carrier's codec turns its wire into these and back; nothing above the codec knows the wire.
Audio is always 8 kHz mu-law here (G.711, one byte a sample, 8 bytes a millisecond).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from telebot.call.model import Call


@dataclass(slots=True)
class Connected:
    """The carrier's socket is up; no stream yet."""


@dataclass(slots=True)
class Started:
    """The stream began. `parameters` are the webhook answer's own, the token among them."""

    stream_id: str
    carrier_call_id: str
    parameters: Mapping[str, str]


@dataclass(slots=True)
class Media:
    """Caller audio. `timestamp_ms` counts from the stream's start by the carrier's clock."""

    ulaw: bytes
    timestamp_ms: int


@dataclass(slots=True)
class Digit:
    """One DTMF key: 0-9, ``*``, ``#`` or A-D."""

    digit: str


@dataclass(slots=True)
class Played:
    """The carrier played (or cleared) everything before the mark `name`."""

    name: str


@dataclass(slots=True)
class Stopped:
    """The carrier ended the stream."""


@dataclass(slots=True)
class Ignored:
    """A message that means nothing to us; counted under `why` and dropped."""

    why: str


MediaEvent = Connected | Started | Media | Digit | Played | Stopped | Ignored


class MediaCodec(Protocol):
    """One stream's wire, without I/O. A codec never does REST."""

    def decode(self, message: bytes) -> MediaEvent:
        """One text message in. Raises `errors.BadWire` when the call cannot go on."""
        ...

    def audio(self, ulaw: bytes) -> bytes:
        """The message that plays `ulaw` after what was sent before."""
        ...

    def mark(self, name: str) -> bytes:
        """The message whose acknowledgement is `Played(name)`."""
        ...

    def clear(self) -> bytes:
        """The message that empties the carrier's play-out buffer."""
        ...


class MediaWire(Protocol):
    """Where bot audio leaves: the media socket, seen from the pipeline. Never waits for the peer
    and never raises once the socket is gone; a peer that stopped reading is cut off by the wire
    (a send that would have to wait is taken for that)."""

    def send_audio(self, ulaw: bytes) -> None: ...

    def send_mark(self, name: str) -> None: ...

    def send_clear(self) -> None: ...

    async def close(self) -> None:
        """Hang up: close the media stream (code 1000). Idempotent."""
        ...


class MediaSink(Protocol):
    """One live call, seen from the media socket: what came in goes here, in order."""

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        """Caller audio, any length; the hot path (50 a second)."""
        ...

    async def digit(self, digit: str) -> None: ...

    async def played(self, mark: str) -> None: ...

    async def ended(self, reason: str) -> None:
        """The stream is over; returns when nothing of the call's work is left. `reason` is a
        termination reason and stands only if the call has not ended otherwise."""
        ...


class Conversations(Protocol):
    """Starts the conversation of an admitted call on its media stream."""

    async def start(self, call: Call, wire: MediaWire) -> MediaSink:
        """The greeting is on its way when this returns."""
        ...
