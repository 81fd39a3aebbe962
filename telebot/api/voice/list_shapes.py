"""What `GET /v1/voice/models`, `/providers`, `/voices` and `/health` answer (`lists.py`)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from telebot.api.voice.shapes import Language
from telebot.models import LazyModel
from telebot.providers import registry
from telebot.providers.breaker import Breaker
from telebot.providers.catalogue import Model, Price


class PriceRow(LazyModel):
    """What a model costs; null where it is not known."""

    unit: str
    amount: float | None
    amounts: dict[str, float]
    currency: str
    verified: bool
    sources: list[str]
    as_of: date | None = Field(description="when it was seen")
    note: str


class ModelRow(LazyModel):
    """A model of a provider."""

    id: str = Field(description="as `model` of a request")
    provider: str
    kind: str
    streaming: bool | None
    languages: str | None = Field(description="how many, as the vendor says; null: not known")
    price: PriceRow | None
    shutdown_date: date | None
    replacement: str | None


class ModelPage(LazyModel):
    """`GET /v1/voice/models`, unpaged."""

    data: list[ModelRow]
    next_cursor: str | None = None


class Health(LazyModel):
    """How a provider's model fares in this process."""

    kind: str
    model: str
    state: str = Field(description="closed: in use; open: left alone; half_open: being tried")
    cause: str | None
    latency_ms: float | None = Field(description="median of the last ones, to the first output")
    latency_p95_ms: float | None = Field(description="within which 95 in 100 of them lay")
    throughput: float | None = Field(
        description="median of seconds heard, or characters spoken or written, a second"
    )
    failures: dict[str, int]
    successes: int


class ProviderRow(LazyModel):
    """A vendor, or what runs on this machine."""

    id: str
    name: str
    kinds: list[str]
    status: Literal["active", "retiring", "retired"]
    available: bool = Field(description="a key is there, and it can be asked here")
    serves: list[str] = Field(
        description="stt, llm and tts of `/v1/voice`; realtime: sessions of mode `direct`"
    )
    abilities: dict[str, list[str]]
    formats: list[str] = Field(description="of the sound that is answered, whoever made it")
    languages: list[str] | None = Field(description="null where the vendor's list is not known")
    shutdown_date: date | None
    note: str
    replacement: str | None
    as_of: date | None
    verified: bool
    docs: list[str]
    models: list[ModelRow]
    health: list[Health]


class ProviderPage(LazyModel):
    """`GET /v1/voice/providers`: one entry for each, unpaged, the retired ones too."""

    data: list[ProviderRow]
    next_cursor: str | None = None


class VoiceAnswer(LazyModel):
    """A voice that can be named."""

    id: str
    name: str
    provider: str
    language: str | None
    gender: str | None
    preview_url: str | None


class VoicePage(LazyModel):
    """`GET /v1/voice/voices`. `missing`: providers that could not be asked."""

    data: list[VoiceAnswer]
    missing: list[str]
    next_cursor: str | None = None


class HealthAnswer(LazyModel):
    """`GET /v1/voice/health`. `providers` only for who has a key."""

    status: Literal["up", "degraded"] = Field(description="degraded: a provider is left alone")
    providers: list[Health] | None = None


class ListQuery(LazyModel):
    """What lists can be narrowed to."""

    model_config = ConfigDict(extra="forbid")

    provider: Annotated[str, Field(max_length=128)] | None = Field(None, description="of one alone")
    kind: Literal["stt", "tts", "llm", "realtime"] | None = Field(None, description="of one kind")


class VoiceQuery(ListQuery):
    """What the voices can be narrowed to."""

    language: Language | None = Field(None, description="e.g. en or en-GB; or not told")


def health_of(breaker: Breaker, model: str = "") -> Health:
    told: dict[str, Any] = breaker.told()
    fields = ("state", "cause", "latency_ms", "latency_p95_ms", "throughput", "failures",
              "successes")  # fmt: skip
    return Health(
        kind=breaker.kind,
        model=model or breaker.name.partition("/")[2],
        **{field: told[field] for field in fields},
    )


Priced = tuple[Price, date] | None


def unlisted(name: str, kind: str, priced: Priced) -> ModelRow:
    """Of what stands in no catalogue: this machine costs nothing, of others only what the operator
    says of it is known."""
    free = PriceRow(
        unit={"tts": "1m_characters", "llm": "1m_tokens"}.get(kind, "minute"),
        amount=0.0,
        amounts={},
        currency="",
        verified=True,
        sources=[],
        as_of=None,
        note="runs on this machine",
    )
    return ModelRow(
        id=name,
        provider=name,
        kind=kind,
        streaming=None,
        languages="1" if name in registry.OURS else None,
        price=free if name in registry.OURS else price_row(priced),
        shutdown_date=None,
        replacement=None,
    )


def model_row(id: str, provider: str, row: Model, priced: Priced, as_of: date) -> ModelRow:
    return ModelRow(
        id=id,
        provider=provider,
        kind=row.kind,
        streaming=row.streaming,
        languages=row.languages,
        price=price_row(priced) or (price_row((row.price, as_of)) if row.price else None),
        shutdown_date=row.shutdown_date,
        replacement=row.replacement,
    )


def price_row(priced: Priced) -> PriceRow | None:
    if priced is None:
        return None
    price, as_of = priced
    return PriceRow(
        unit=price.unit,
        amount=price.amount,
        amounts={str(name): amount for name, amount in price.amounts.items()},
        currency=price.currency,
        verified=price.verified,
        sources=list(price.source),
        as_of=as_of,
        note=price.note,
    )
