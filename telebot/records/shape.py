"""The shape of a record as it is shown: by the API (its OpenAPI comes from here) and the console.

Names are those of `docs/records.md`. Times are RFC 3339 in UTC, durations seconds, latencies
milliseconds, null where something did not happen or is not known.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, PlainSerializer, WithJsonSchema

from telebot.models import LazyModel


def rfc3339(at: datetime) -> str:
    """``2026-11-20T07:05:21.123Z``."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str, when_used="always"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


class Shape(LazyModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Termination(Shape):
    """How the call ended."""

    result: str = Field(
        description="completed, transferred, no_media, refused, unanswered or failed"
    )
    reason: str = Field(description="e.g. caller_hangup, bot_hangup, silence, server_crashed")


class CostItem(Shape):
    """One line of the cost."""

    kind: str = Field(description="carrier, stt, llm, tts or realtime")
    provider: str
    quantity: float
    unit: str = Field(description="s, socket_s, characters, tokens_in, tokens_out or replies")
    amount: float | None = Field(description="null where the price is not known; never 0 for that")


class Cost(Shape):
    """What the call cost; nothing before its end."""

    total: float | None = Field(description="null while live, and where any item is not known")
    currency: str
    items: list[CostItem]


class Providers(Shape):
    """Who served a turn."""

    stt: str | None
    llm: str | None
    tts: str | None


class Latency(Shape):
    """Milliseconds of one reply: `heard` as the caller heard it, the others its parts."""

    heard: float | None = Field(description="caller's last speech frame to first bot frame played")
    endpointing: float | None = Field(description="end of speech to the end-of-turn decision")
    stt: float | None = Field(description="end of speech to final text")
    llm_first_token: float | None = Field(description="asked to first token")
    tts_first_audio: float | None = Field(description="asked to first audio")
    transport: float | None = Field(description="first audio made to first audio played")


class Turn(Shape):
    """What the caller said and what the bot answered; the greeting has no caller_text."""

    index: int
    started_at: Time
    caller_text: str | None
    bot_text: str
    bot_text_heard: str = Field(description="the words of bot_text that were played")
    interrupted: bool
    providers: Providers
    latency_ms: Latency
    caller_offset_s: float | None = Field(description="where in the recording the caller begins")
    bot_offset_s: float | None = Field(description="where in the recording the bot begins")
    cost: float | None = Field(
        description="what providers used since the turn before; null where any of it is not known"
    )


class Note(Shape):
    """Something the conversation produced."""

    kind: str = Field(description="e.g. booking, cancellation, message")
    fields: dict[str, Any]
    at: Time
    replaced: bool = Field(description="a later note of this kind corrects it")


class Recording(Shape):
    """The stereo recording: caller left, bot right."""

    available: bool
    state: str = Field(description="off, live, ready or failed (cut short by a fault)")
    duration_s: float | None
    error: str | None


class CallSummary(Shape):
    """A call in the list."""

    id: str
    carrier: str
    carrier_call_id: str
    direction: str
    phone_from: str = Field(alias="from")
    phone_to: str = Field(alias="to")
    agent: str
    state: str
    started_at: Time
    answered_at: Time | None
    ended_at: Time | None
    duration_s: float | None = Field(
        description="answered to ended; 0 where never answered, null while live"
    )
    termination: Termination | None = Field(description="null while live")
    turn_count: int
    slowest_ms: float | None = Field(description="the longest latency_ms.heard of its turns")
    recording: Recording
    metadata: dict[str, str] = Field(description="as given when the call was placed")


class CallDetail(CallSummary):
    """One call with everything that was said."""

    cost: Cost
    turns: list[Turn]
    notes: list[Note]


class Event(Shape):
    """Something that happened on the call's wire or in its session."""

    at: Time
    offset_s: float | None = Field(description="seconds since the media stream began")
    name: str
    fields: dict[str, Any]


class CallPage(Shape):
    """A page of calls, newest first."""

    data: list[CallSummary]
    next_cursor: str | None


class EventPage(Shape):
    """A page of events, oldest first."""

    data: list[Event]
    next_cursor: str | None
