"""What the core needs from outside, as small Protocols that `app.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol, runtime_checkable

from telebot.call.model import Call, Note, Termination, Turn, Usage, WireEvent

Clock = Callable[[], float]  # monotonic seconds
WallClock = Callable[[], datetime]  # aware UTC


class CallLog(Protocol):
    """The record of calls (`records/`). Every method returns at once; writing happens behind."""

    def opened(self, call: Call) -> None:
        """The call was offered (state ringing, or already ended when it was refused)."""
        ...

    def answered(self, call: Call) -> None: ...

    def state(self, call: Call) -> None: ...

    def turn(self, call: Call, turn: Turn) -> None:
        """A turn is final: what was heard of it is known. Called once per index."""
        ...

    def used(self, call: Call, usage: Usage) -> None:
        """A provider says what it used for this call; its uses add up."""
        ...

    def note(self, call: Call, note: Note) -> None: ...

    def event(self, call: Call, event: WireEvent) -> None: ...

    def closed(self, call: Call, termination: Termination) -> None:
        """The call is over (`call.ended_at` is set). A second closing of one call is ignored."""
        ...


class Recording(Protocol):
    """One call's stereo recording. Offsets are 8 kHz samples since the stream's start, by the
    carrier's clock; gaps are silence, overlaps keep the later audio. Cheap enough for every
    frame: it only keeps references until a thread writes them."""

    def caller(self, ulaw: bytes, at_sample: int) -> None: ...

    def bot(self, ulaw: bytes, at_sample: int) -> None:
        """Bot audio as it was *played*."""
        ...

    def close(self) -> None:
        """No more audio; the file is finished behind and named in the call's record."""
        ...


class Recorder(Protocol):
    def start(self, call: Call) -> Recording | None:
        """None where recording is switched off for this call."""
        ...


@runtime_checkable
class HangsUp(Protocol):
    """A carrier that can end a call from our side, outside the media stream."""

    async def hang_up(self, call: Call) -> None:
        """Idempotent: a call that is gone already is not an error. Raises `CarrierError`."""
        ...


@runtime_checkable
class Transfers(Protocol):
    """A carrier that can put the caller through to a number."""

    async def transfer(self, call: Call, to: str) -> None:
        """Raises `CarrierError`; the caller then stays with the bot."""
        ...
