"""The nouns of a call: the offer, the call itself, its turns and its termination.

Made by `carriers/` (offer), `call/admission.py` (call) and `speech/` (turns); written down by
`records/`. Times are aware UTC datetimes, durations are seconds, latencies milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class State(StrEnum):
    """Where a call is; the one table of moves is in `call/session.py`."""

    RINGING = "ringing"
    GREETING = "greeting"
    LISTENING = "listening"
    THINKING = "thinking"
    SPEAKING = "speaking"
    TRANSFERRING = "transferring"
    ENDED = "ended"


class Result(StrEnum):
    """How a call ended, in one word."""

    COMPLETED = "completed"  # somebody hung up a call that had been answered
    TRANSFERRED = "transferred"
    NO_MEDIA = "no_media"  # the webhook was answered, the media stream never came
    REFUSED = "refused"  # never answered: full, draining, unknown number
    UNANSWERED = "unanswered"  # a call of ours that nobody took
    FAILED = "failed"  # answered, then broken by a fault


@dataclass(frozen=True, slots=True)
class Termination:
    """The one ending of a call. Reasons in use: ``caller_hangup``, ``bot_hangup``, ``silence``,
    ``max_duration``, ``budget``, ``drained``, ``stream_lost``, ``no_media``, ``bad_wire``,
    ``capacity``, ``draining``, ``unknown_number``, ``carrier_ended``, ``transferred``,
    ``server_error``, ``server_crashed``, ``stalled_peer``, ``operator_hangup``, ``message_taken``
    (nobody could answer); over SIP ``no_ack`` (our answer never arrived), ``bad_media`` (no codec
    in common), ``session_expired`` (the peer is gone, RFC 4028); and of calls that we made
    ``busy``, ``no_answer``, ``declined``, ``unreachable`` (no such number, no way to it),
    ``dial_failed`` (the carrier did not take the call), ``cancelled`` (given up while it rang)."""

    result: Result
    reason: str


@dataclass(frozen=True, slots=True)
class CallOffer:
    """A call somebody wants to make to us, as the carrier describes it. `agent` is set where the
    webhook URL names one; numbers are as the carrier writes them (E.164 or SIP user). A call that
    we make (`direction` outbound) is one too: from our number to the other's, over `trunk` where
    its carrier has several ways; it has no `carrier_call_id` until the carrier has given one. A
    session belongs to the `key_id` of the API key that opened it."""

    carrier: str
    carrier_call_id: str
    phone_from: str
    phone_to: str
    agent: str | None = None
    direction: str = "inbound"
    trunk: str = ""
    key_id: str = ""

    @property
    def billed(self) -> str:
        """The carrier that bills the leg; "" where there is none."""
        return "" if self.key_id else self.carrier

    @property
    def outbound(self) -> bool:
        """True where we are the caller."""
        return self.direction == "outbound"

    @property
    def phone_ours(self) -> str:
        """Our own number in it."""
        return self.phone_from if self.outbound else self.phone_to

    @property
    def phone_person(self) -> str:
        """The number of whoever speaks with us."""
        return self.phone_to if self.outbound else self.phone_from


@dataclass(slots=True)
class Call:
    """The whole conversation, from the offer on. `metadata` is what whoever had us make the call
    wants to find in its record. `keeps_words` False: nothing that is said is kept."""

    id: str
    offer: CallOffer
    agent: str
    created_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    state: State = State.RINGING
    termination: Termination | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    keeps_words: bool = True


@dataclass(frozen=True, slots=True)
class TurnLatency:
    """Milliseconds of one reply; None where a part did not happen or is not known.

    `heard`: last caller speech frame to first bot frame played, by the carrier's clock; the others
    are parts of it by ours: `endpointing` (end of speech to the decision that the turn is over),
    `stt` (end of speech to final text), `llm_first_token`, `tts_first_audio` (each from the moment
    it was asked), `transport` (what remains: first audio made to first audio played)."""

    heard: float | None = None
    endpointing: float | None = None
    stt: float | None = None
    llm_first_token: float | None = None
    tts_first_audio: float | None = None
    transport: float | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One reply of the bot and what the caller said before it (None for greeting and reprompts)."""

    index: int
    started_at: datetime
    caller_text: str | None
    bot_text: str
    bot_text_heard: str
    interrupted: bool
    providers: Mapping[str, str | None]  # keys stt, llm, tts
    latency_ms: TurnLatency
    caller_offset_s: float | None = None  # where in the recording the caller's words begin
    bot_offset_s: float | None = None  # where the bot's reply begins


@dataclass(frozen=True, slots=True)
class WireEvent:
    """Something that happened on the call's wire or in its session; media frames are not events."""

    at: datetime
    offset_s: float | None  # seconds since the stream began
    name: str  # e.g. "start", "clear", "mark", "state", "dtmf"
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Note:
    """Something the conversation produced: a booking, a cancellation, a message taken.

    `replaces`: it corrects the note of the same kind before it, which counts no more."""

    kind: str
    fields: Mapping[str, Any]
    at: datetime
    replaces: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """Something a provider may bill, as it is used.

    `kind`: stt, llm, tts or realtime; `provider`: provider and model as in a turn
    (``deepgram/nova-3``). Units: ``s`` of audio, ``socket_s`` of an open connection,
    ``characters``, ``tokens_in``, ``tokens_out``; a realtime model's also ``text_`` and
    ``audio_tokens_in`` and ``_out``, tokens it had cached ``cached_tokens_in``. `own_key`: a key of
    whoever talks pays for it, not the house."""

    kind: str
    provider: str
    quantity: float
    unit: str
    own_key: bool = False


@dataclass(frozen=True, slots=True)
class UnitPrice:
    """What one unit of a `Usage` costs, in `currency` (ISO 4217; "" where it costs nothing)."""

    amount: float
    currency: str
