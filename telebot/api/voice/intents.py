"""`POST /v1/voice/intents`: what a text wants, what it names, its language and how it feels.

By this machine, unless the request (or its user) names a model or providers. Intents are an agent's
own, or come with the request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import ConfigDict, Field, StringConstraints, field_validator

from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.idempotency import TOLD, Once
from telebot.api.query import Day
from telebot.api.voice.leaving import unless_gone
from telebot.api.voice.meant import meant
from telebot.api.voice.shapes import (
    Asked,
    AttemptAnswer,
    Language,
    SkippedAnswer,
    Text,
    UsageAnswer,
)
from telebot.api.voice.transcribe import WhoAsks
from telebot.api.voice.uploads import form_of
from telebot.call.errors import ApiError
from telebot.call.ports import WallClock
from telebot.dialog import agent_file
from telebot.dialog.brain import Brain
from telebot.dialog.understanding import Understanding, Understood
from telebot.models import LazyModel
from telebot.records.keys import Scope
from telebot.voice import intents as work
from telebot.voice.done import Done
from telebot.voice.intents import Answered, Type
from telebot.voice.offers import LOCAL
from telebot.voice.pricing import Cost
from telebot.voice.service import Voice
from telebot.voice.tailoring import WHOM

PATH = "/v1/voice/intents"
MOST_CHARS = 10_000
MOST_GAPS = 2  # of a keyword: each may stand for up to five words
Words = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Several = Annotated[tuple[Words, ...], Field(max_length=50)]


class IntentAsked(LazyModel):
    """One that may be found: by its words, by sentences like it, by a model that is told of it."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
    description: Annotated[str, Field(max_length=500)] = Field("", description="for a model")
    keywords: Several = Field((), description="`park*`, `{number} people`, `what ... close`")
    examples: Several = Field((), description="sentences that mean it")

    @field_validator("keywords")
    @classmethod
    def _bounded(cls, keywords: tuple[str, ...]) -> tuple[str, ...]:
        if any(keyword.count("...") > MOST_GAPS for keyword in keywords):
            raise ValueError(f"at most {MOST_GAPS} gaps (...) in a keyword")
        return keywords

    def told(self) -> str:
        """For a model."""
        like = f" Like: {'; '.join(self.examples[:10])}" if self.examples else ""
        return f"{self.description or self.name.replace('_', ' ')}.{like}".replace("..", ".")


class IntentsRequest(Asked):
    """A text to understand."""

    text: Annotated[str, Field(min_length=1, max_length=MOST_CHARS)] = Field(repr=False)
    intents: Annotated[tuple[IntentAsked, ...], Field(max_length=64)] = Field(
        (), description="those that may be found; without an agent"
    )
    agent: Text | None = Field(None, description="by this agent's intents and forms")
    language: Language | None = Field(None, description="of the text, where it is known")
    today: Day | None = Field(None, description="from which `tomorrow` counts; else today in UTC")

    @field_validator("intents")
    @classmethod
    def _told_apart(cls, intents: tuple[IntentAsked, ...]) -> tuple[IntentAsked, ...]:
        if len({intent.name for intent in intents}) != len(intents):
            raise ValueError("two intents of one name")
        return intents


class IntentRow(LazyModel):
    """An intent of the text."""

    name: str
    score: float = Field(description="1: its own words; else how alike, or how sure a model is")
    by: Literal["keyword", "only", "likeness", "model"] = Field(description="how it was found")
    text: str
    start: int = Field(description="characters of the text")
    end: int
    slots: dict[str, Any] = Field(description="what its agent's form takes from the text")


class EntityRow(LazyModel):
    """Something that is named."""

    type: Type
    text: str
    start: int
    end: int
    value: str = Field(description="dates as ISO 8601, times as HH:MM, numbers as digits")
    others: list[str] = Field(description="what else it may mean: 07:00 beside 19:00")
    currency: str | None = Field(None, description="of money, ISO 4217; null where not said")


class SentimentRow(LazyModel):
    """How the text feels."""

    label: Literal["positive", "neutral", "negative"]
    score: float = Field(description="-1 to 1")


class IntentsAnswer(LazyModel):
    """What was understood. What is null is not known."""

    id: str
    intents: list[IntentRow]
    entities: list[EntityRow]
    language: str | None
    language_score: float | None = Field(description="0 to 1; null if it was said, or by a model")
    sentiment: SentimentRow | None
    provider: str
    latency_ms: float
    usage: UsageAnswer
    attempts: list[AttemptAnswer]
    skipped: list[SkippedAnswer]


class IntentsApi:
    """The endpoint. `brains` are the agents' by name."""

    def __init__(
        self, voice: Voice, who: WhoAsks, once: Once, brains: Mapping[str, Brain], now: WallClock
    ) -> None:
        self._voice = voice
        self._who = who
        self._once = once
        self._brains = brains
        self._now = now
        self._understanding = lru_cache(maxsize=64)(self._of_agent)

    def endpoints(self) -> list[Endpoint]:
        return [
            Endpoint(
                "POST",
                PATH,
                self.intents,
                Scope.VIEWER,
                "What a text wants and names, its language and its feeling",
                IntentsAnswer,
                failures=(400, 404, 408, 409, 413, 415, 422, 429, 502),
                body=IntentsRequest,
                headers=(TOLD,),
            )
        ]

    async def intents(self, request: web.Request) -> web.StreamResponse:
        form = await form_of(request, self._voice.settings)
        asked = form.read(IntentsRequest)
        return await self._once.answer(
            request, await form.digest(request), lambda: self._understood(request, asked)
        )

    async def _understood(self, request: web.Request, asked: IntentsRequest) -> web.StreamResponse:
        key_id = self._who(request)
        asked = await meant(self._voice, key_id, asked, "llm")
        local, told = await self._ways(asked)
        today = asked.today or self._now().astimezone(UTC).date()
        text = work.Text(asked.text, told, local, today, asked.language)
        free = asked.model is None and not asked.provider.model_fields_set & WHOM
        found = await unless_gone(
            request,
            work.understand(
                self._voice,
                key_id,
                text,
                model=LOCAL if free else asked.model,
                prefers=asked.provider,
                under=replace(asked.under, agent=asked.agent or ""),
            ),
        )
        return answer(_answer(asked.text, found))

    async def _ways(self, asked: IntentsRequest) -> tuple[Understanding, dict[str, str]]:
        """This machine's way, and what a model is told of the intents. Raises `ApiError`."""
        if asked.agent is None:
            told = {intent.name: intent.told() for intent in asked.intents}
            return await asyncio.to_thread(_compiled, asked.intents), told
        if asked.intents:
            why = "intents: an agent has its own."
            raise ApiError(400, "invalid_parameter", why, "intents")
        if asked.agent not in self._brains:
            raise ApiError(404, "agent_not_found", f"No agent {asked.agent!r}.", "agent")
        brain = self._brains[asked.agent]
        return await asyncio.to_thread(self._understanding, asked.agent), brain.intents()

    def _of_agent(self, name: str) -> Understanding:
        return self._brains[name].understanding()


def _compiled(asked: Sequence[IntentAsked]) -> Understanding:
    return Understanding({
        intent.name: agent_file.Intent(
            keywords=list(intent.keywords), examples=list(intent.examples)
        )
        for intent in asked
    })  # fmt: skip


def _answer(text: str, answered: Answered) -> IntentsAnswer:
    found, done = answered.understood, answered.done
    return IntentsAnswer(
        id=done[-1].id,
        intents=[
            IntentRow(
                name=each.intent,
                score=each.score,
                by=each.by,
                text=text[each.start : each.end],
                start=each.start,
                end=each.end,
                slots=dict(each.slots),
            )
            for each in found.intents
        ],
        entities=_entities(found),
        language=found.language.tag if found.language else None,
        language_score=found.language.score if found.language else None,
        sentiment=found.sentiment
        and SentimentRow(label=found.sentiment.label, score=found.sentiment.score),
        provider=done[-1].provider,
        latency_ms=round(sum(each.ms for each in done), 1),
        usage=UsageAnswer.of(_together(done)),
        attempts=[AttemptAnswer.of(made) for each in done for made in each.attempts],
        skipped=SkippedAnswer.all_of(done[0]),
    )


def _entities(found: Understood) -> list[EntityRow]:
    return [
        EntityRow(
            type=each.type,
            text=each.text,
            start=each.start,
            end=each.end,
            value=each.value,
            others=list(each.others),
            currency=each.more.get("currency"),
        )
        for each in found.entities
    ]


def _together(done: Sequence[Done]) -> Done:
    """All that was asked as one piece of work: each time is paid."""
    amounts = [each.cost.amount for each in done]
    known = [amount for amount in amounts if amount is not None]
    whole = sum(known, Decimal(0)) if len(known) == len(amounts) else None
    cost = Cost(whole, done[-1].cost.currency, all(each.cost.verified for each in done))
    uses = tuple(use for each in done for use in each.uses)
    return replace(done[-1], uses=uses, cost=cost)
