"""What `/v1/voice/chat` is asked and what it answers."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import orjson
from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    field_validator,
)

from telebot.api.voice.shapes import (
    AttemptAnswer,
    Language,
    SkippedAnswer,
    Text,
    UsageAnswer,
)
from telebot.audio.files import FORMATS
from telebot.models import LazyModel
from telebot.providers.replies import MOST_TOKENS
from telebot.voice import defaults
from telebot.voice.chat_turn import Answered
from telebot.voice.defaults import Models, Providers, UserId
from telebot.voice.done import Done
from telebot.voice.offers import WORKS, Work
from telebot.voice.preferences import ANYBODY, Preferences
from telebot.voice.tailoring import PLAINLY, Chosen, Under

MOST_CHARACTERS = 20_000  # said in one turn


def _each(value: Any) -> Literal["all", "each"]:
    """Whether a field says something for each kind of work, or one thing for all."""
    if isinstance(value, Mapping):
        return "each" if not value or value.keys() & set(WORKS) else "all"
    return "each" if isinstance(value, Models | Providers) else "all"


def _who(value: Any) -> Literal["all", "each"]:
    if isinstance(value, Mapping):
        return "each" if value.keys() & set(WORKS) else "all"
    return "each" if isinstance(value, Providers) else "all"


Model = Annotated[
    Annotated[defaults.Model, Tag("all")] | Annotated[Models, Tag("each")], Discriminator(_each)
]
Provider = Annotated[
    Annotated[Preferences, Tag("all")] | Annotated[Providers, Tag("each")], Discriminator(_who)
]


class ChatRequest(LazyModel):
    """What the user says: a `text`, or a recording (`audio`, `url`, or a form with a `file`); who
    answers, and how."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARACTERS)] | None = None
    audio: str | None = Field(None, description="the recording, base64", repr=False)
    url: Annotated[str, Field(max_length=2048)] | None = Field(
        None, description="where the recording is fetched from"
    )
    media_type: Text = Field("", description="needed where the file has no header: audio/pcmu")
    language: Language | None = Field(None, description="heard and spoken")
    session: Text | None = Field(None, description="of an answer before: goes on with it")
    agent: Text | None = Field(None, description="answers as this agent; else the usual one")
    instructions: Annotated[str, Field(max_length=MOST_CHARACTERS)] = Field(
        "", description="for a language model, instead of an agent"
    )
    model: Model | None = Field(
        None, description="the language model; or one for each of `stt`, `llm` and `tts`"
    )
    provider: Provider = Field(
        ANYBODY, description="who may do it; or for each of `stt`, `llm` and `tts`"
    )
    answer: Literal["text", "audio", "both"] = Field(
        "both", description="text: nothing is spoken; audio: events without the text as it grows"
    )
    voice: Text | None = Field(None, description="a preset's or a cloned voice's id")
    speed: float = Field(1.0, ge=0.25, le=4.0)
    style: Annotated[str, Field(max_length=4000)] = Field("", description="tone of the voice")
    format: Literal[FORMATS] = Field("mp3", description="of the sound")  # type: ignore[valid-type]
    sample_rate: int | None = Field(None, ge=8000, le=48000, description="Hz; else the voice's own")
    temperature: float | None = Field(None, ge=0, le=2)
    max_tokens: int = Field(MOST_TOKENS, ge=1, le=8192, description="of the answer")
    stream: bool = Field(False, description="events as the answer comes (text/event-stream)")
    store: bool = Field(True, description="false: no session remembers this turn")
    user: UserId | None = Field(
        None, description="whose preferences hold where the request says nothing: an id of yours"
    )
    _under: Under = PrivateAttr(PLAINLY)

    @field_validator("model", mode="before")
    @classmethod
    def _in_a_form(cls, model: Any) -> Any:
        """A form has texts alone: an object is JSON in it."""
        if isinstance(model, str) and model.startswith("{"):
            try:
                return orjson.loads(model)
            except ValueError:
                raise ValueError("neither a name nor JSON") from None
        return model

    @property
    def under(self) -> Under:
        """What was chosen for it beside what it says."""
        return self._under

    def named(self, work: Work) -> str | None:
        """The model of one kind of work; a bare name is a language model's."""
        if isinstance(self.model, Models):
            found: str | None = getattr(self.model, work)
            return found
        return self.model if work == "llm" else None

    def who(self, work: Work) -> Preferences:
        """Who may do one kind of work."""
        if isinstance(self.provider, Providers):
            return getattr(self.provider, work) or ANYBODY
        return self.provider

    def tailored(self, chosen: Chosen) -> ChatRequest:
        """With what was chosen where it says nothing."""
        said = {name for name in self.model_fields_set if getattr(self, name) is not None}
        changed: dict[str, Any] = {
            name: found
            for name in ("language", "speed", "format", "sample_rate")
            if name not in said and (found := chosen.plain(name)) is not None
        }
        if not self.session and not self.instructions and self.agent is None:
            changed["agent"] = chosen.plain("agent")
        works = {work: (self.named(work), self.who(work)) for work in WORKS}
        models: dict[str, Any] = {w: chosen.model(w, *said) for w, said in works.items()}
        who: dict[str, Any] = {w: chosen.provider(w, *said[::-1]) for w, said in works.items()}
        changed["model"] = Models.model_construct(**models)
        changed["provider"] = Providers.model_construct(**who)
        whole = self.model_copy(update=changed)
        whole._under = chosen.under
        return whole


class WorkAnswer(LazyModel):
    """One kind of work of a turn, as it stands in the records."""

    id: str
    kind: str = Field(description="stt, llm, tts")
    provider: str
    latency_ms: float
    first_ms: float | None = Field(description="to the first word, or sound")
    usage: UsageAnswer
    attempts: list[AttemptAnswer]
    skipped: list[SkippedAnswer]

    @classmethod
    def of(cls, done: Done) -> WorkAnswer:
        return cls(
            id=done.id,
            kind=done.work,
            provider=done.provider,
            latency_ms=round(done.ms, 1),
            first_ms=None if done.first_ms is None else round(done.first_ms, 1),
            usage=UsageAnswer.of(done),
            attempts=[AttemptAnswer.of(made) for made in done.attempts],
            skipped=SkippedAnswer.all_of(done),
        )


class ChatAnswer(LazyModel):
    """A turn. In the event ``done`` its `audio` is null: it came before."""

    session: str | None = Field(description="send it again to go on; null where nothing is kept")
    turn: int = Field(description="of the session, from 1 on")
    transcript: str | None = Field(description="what the recording says; null for a text")
    text: str
    cut: bool = Field(description="the answer would have been longer than `max_tokens`")
    audio: str | None = Field(description="base64")
    media_type: str | None
    sample_rate: int | None
    actions: list[dict[str, Any]] = Field(
        description="what an agent's own brain asks for: end_call, transfer, record; done by you"
    )
    latency_ms: float
    works: list[WorkAnswer] = Field(description="one of each kind; two where another took over")
    cost: float | None = Field(description="of all works; null where a price is not known")
    currency: str

    @classmethod
    def of(cls, end: Answered, ms: float, currency: str) -> ChatAnswer:
        works = [WorkAnswer.of(done) for done in end.works]
        costs = [work.usage.cost for work in works]
        known = [Decimal(str(cost)) for cost in costs if cost is not None]
        encoder = None if end.saying is None else end.saying.encoder
        return cls(
            session=end.session,
            turn=end.turn,
            transcript=end.transcript,
            text=end.text,
            cut=end.cut,
            audio=None,
            media_type=None if encoder is None else encoder.media_type,
            sample_rate=None if encoder is None else encoder.rate_hz,
            actions=end.actions,
            latency_ms=round(ms, 1),
            works=works,
            cost=float(sum(known, Decimal(0))) if len(known) == len(costs) else None,
            currency=currency,
        )

    def with_sound(self, audio: bytes, media_type: str, rate_hz: int) -> ChatAnswer:
        """With the answer as a file."""
        packed = base64.b64encode(audio).decode()
        told = {"audio": packed, "media_type": media_type, "sample_rate": rate_hz}
        return self.model_copy(update=told)


class SessionRow(LazyModel):
    """A conversation that can go on. Its words are not shown."""

    id: str
    agent: str | None
    turns: int
    characters: int = Field(description="kept of what was said")
    summed_up: bool = Field(description="its old turns are kept in short")
    created_at: datetime
    used_at: datetime | None
    expires_in_s: float


class SessionPage(LazyModel):
    """One's own sessions, the last used first, unpaged."""

    data: list[SessionRow]
    next_cursor: str | None = None
