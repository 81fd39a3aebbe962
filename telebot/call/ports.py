"""What the core needs from outside, as small Protocols that `app.py` fills."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, runtime_checkable

from telebot.audio.line import Line
from telebot.call.model import Call, Note, Termination, Turn, Usage, WireEvent

Clock = Callable[[], float]  # monotonic seconds
WallClock = Callable[[], datetime]  # aware UTC


class CallLog(Protocol):
    """The record of calls (`records/`). Every method returns at once; writing happens behind."""

    def opened(self, call: Call) -> None:
        """The call was offered (state ringing, or already ended when it was refused)."""
        ...

    def dialled(self, call: Call) -> None:
        """A call that we make has got its carrier's id."""
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
    """One call's stereo recording, of audio in the form of its line. Offsets are ticks
    (`audio/line.py`) since the stream's start, by the carrier's clock; gaps are silence, overlaps
    keep the later audio. Cheap enough for every frame: it only keeps references until a thread
    writes them."""

    def caller(self, audio: bytes, at_tick: int, /) -> None: ...

    def bot(self, audio: bytes, at_tick: int, /) -> None:
        """Bot audio as it was *played*."""
        ...

    def close(self) -> None:
        """No more audio; the file is finished behind and named in the call's record."""
        ...


class Recorder(Protocol):
    def start(self, call: Call, line: Line, /) -> Recording | None:
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
        """Returns once the carrier has taken it over: the media stream ends then. Raises
        `CarrierError`; the caller then stays with the bot."""
        ...


@runtime_checkable
class TransfersWarm(Protocol):
    """A carrier by which the person is rung up first and told what it is about."""

    async def transfer_warm(
        self, call: Call, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        """Ring `to` up, say `summary` there, and put both together; meanwhile the caller stays on
        our media stream, which plays music, and which ends when this returns. `answered` is called
        once somebody has picked up: from then on the stream may end at any time. Raises
        `NotReached` (with the reason) where nobody has answered in `within_s` seconds or they hung
        up while they were told, `CarrierError` where the carrier failed; nobody rings any more
        then, and the caller has noticed nothing. Cancelled (the caller hung up): nobody rings any
        more either."""
        ...


@dataclass(frozen=True, slots=True)
class Way:
    """Where a carrier that dials for us finds us: the webhooks to ask once the call is answered, to
    ask where that failed, and to tell how it fares (each names the call in its query already), the
    media stream's address and its one-time token. Empty where the server's public URL is not known;
    a carrier without webhooks may need none. `within_s`: how long it may ring."""

    answer_url: str
    fallback_url: str
    status_url: str
    media_url: str
    token: str
    within_s: float


@runtime_checkable
class Dials(Protocol):
    """A carrier that can ring somebody up for us."""

    async def dial(self, call: Call, way: Way) -> str:
        """Ring `call.offer.phone_to` as `call.offer.phone_from`. Returns the carrier's id of the
        call as soon as it is on its way ("" where only its webhooks will tell); what becomes of it
        comes by webhook and media stream, or through admission. Never dials twice for one call.
        Raises `CarrierError`, `Unable` where that is known beforehand."""
        ...


@runtime_checkable
class SendsDigits(Protocol):
    """A carrier that keys digits towards the other party, outside the media stream."""

    async def send_digits(self, call: Call, digits: str) -> None:
        """`digits`: 0-9, ``*``, ``#``, A-D, ``w`` for a pause of half a second. Raises
        `CarrierError`."""
        ...
