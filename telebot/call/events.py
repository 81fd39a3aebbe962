"""What a media stream says (`MediaEvent`) and is told (`MediaCommand` methods of `MediaWire`).

A carrier's codec turns its wire into these and back; nothing above the codec knows the wire.
Audio is in the form of the stream's line (`audio/line.py`): of carriers always 8 kHz mu-law (G.711,
one byte a sample, 8 bytes a millisecond), of a session's client that hears more wide PCM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from telebot.audio.line import Line
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

    audio: bytes
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
class Notice:
    """The carrier says something of its own (a queue's level, a status): nothing follows from it
    here."""

    what: str


@dataclass(slots=True)
class Ignored:
    """A message that means nothing to us; counted under `why` and dropped."""

    why: str


@dataclass(slots=True)
class Reply:
    """The wire itself wants `message` sent back (a ping's pong); nothing happened on the call."""

    message: bytes


@dataclass(slots=True)
class Wideband:
    """Audio of a client at the full band, where its codec hands it on so: 16-bit mono PCM of the
    session's rate."""

    pcm16: bytes


@dataclass(slots=True)
class Asked:
    """A session's client wants something of it: `order` is one of `voice/session_orders.py`."""

    order: object


MediaEvent = (
    Connected
    | Started
    | Media
    | Digit
    | Played
    | Stopped
    | Reply
    | Notice
    | Ignored
    | Wideband
    | Asked
)


class MediaCodec(Protocol):
    """One stream's wire, without I/O. A codec never does REST; `carriers/codec.py` has what most
    have in common.

    `lead_ms`, `piece_ms` and `echoes_marks` as in `MediaWire`; `binary`: its audio goes in binary
    messages (the others are text, always); `close_ends`: a peer that closes its socket properly has
    ended the call (there is no message that says so); `line`: in which form audio is here, known
    once the stream has started; `farewell_s`: after our goodbye it is the
    peer that closes, and has so long to do it; `close_codes`: with which code the socket is closed
    for a termination reason, where it is not the usual one; `says_every_end`: the peer gets a
    goodbye also where it has ended the call itself."""

    lead_ms: int | None
    piece_ms: int | None
    echoes_marks: bool
    binary: bool
    close_ends: bool
    farewell_s: float
    close_codes: Mapping[str, int]
    says_every_end: bool

    @property
    def line(self) -> Line: ...

    def decode(self, message: bytes) -> MediaEvent:
        """One text message in. Raises `errors.BadWire` when the call cannot go on."""
        ...

    def decode_binary(self, message: bytes) -> MediaEvent:
        """One binary message in. Raises as `decode`."""
        ...

    def audio(self, audio: bytes, /) -> bytes:
        """The message that plays `audio` after what was sent before."""
        ...

    def mark(self, name: str) -> bytes | None:
        """The message whose acknowledgement is `Played(name)`; None where the wire has none."""
        ...

    def clear(self) -> bytes | None:
        """The message that empties the carrier's play-out buffer; None where it keeps none."""
        ...

    def accepted(self) -> Sequence[bytes]:
        """What the carrier is told once the call on the stream is taken, before any audio."""
        ...

    def goodbye(self, reason: str) -> Sequence[bytes]:
        """What the carrier is told before we close the stream, for a termination reason, so that
        its leg ends (or goes on elsewhere) where closing alone does not say so."""
        ...

    def digits(self, digits: str) -> Sequence[bytes]:
        """The messages that key `digits` towards the caller. Raises `errors.Unable`."""
        ...


class MediaWire(Protocol):
    """Where bot audio leaves: the media socket, seen from the pipeline. Never waits for the peer
    and never raises once the socket is gone; a peer that stopped reading is cut off by the wire
    (a send that would have to wait is taken for that).

    `lead_ms`: how far ahead of its play-out audio is sent; None where the peer keeps what it gets
    until it is played, so that the server's own setting holds. A peer that plays what it gets as it
    gets it has a short one. `piece_ms`: audio goes in messages of just so many milliseconds (a
    shorter one is filled up with silence); None where any length will do. `echoes_marks`: False
    where nobody tells what was played; then our own clock does, and `send_mark` does nothing.
    `held`: True while the other side has put the call on hold, and nobody hears us. `line`: in
    which form audio goes both ways."""

    lead_ms: int | None
    piece_ms: int | None
    echoes_marks: bool
    held: bool

    @property
    def line(self) -> Line: ...

    def send_audio(self, audio: bytes, /) -> None: ...

    def send_mark(self, name: str) -> None: ...

    def send_clear(self) -> None: ...

    async def close(self) -> None:
        """Hang up: close the media stream (code 1000). Idempotent."""
        ...


class MediaSink(Protocol):
    """One live call, seen from the media socket: what came in goes here, in order."""

    async def audio(self, audio: bytes, timestamp_ms: int, /) -> None:
        """Caller audio, any length; the hot path (50 a second)."""
        ...

    async def digit(self, digit: str) -> None: ...

    async def played(self, mark: str) -> None: ...

    async def ended(self, reason: str) -> None:
        """The stream is over; returns when nothing of the call's work is left. `reason` is a
        termination reason and stands only if the call has not ended otherwise."""
        ...


@runtime_checkable
class SessionSink(MediaSink, Protocol):
    """A session of a client, which asks for more than a caller can."""

    async def wideband(self, pcm16: bytes) -> None:
        """Audio of the client, where its codec hands it on at the full band."""
        ...

    def asked(self, order: object) -> None:
        """One of the orders of `voice/session_orders.py`."""
        ...


class Conversations(Protocol):
    """Starts the conversation of an admitted call on its media stream."""

    async def start(self, call: Call, wire: MediaWire) -> MediaSink:
        """The greeting is on its way when this returns."""
        ...
