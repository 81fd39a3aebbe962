"""`GET /v1/voice/models`, `/providers`, `/voices`, `/health`: who could do what, for how much, and
how they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.query import parsed
from telebot.api.voice.shapes import Language
from telebot.api.voice.transcribe import WhoAsks
from telebot.audio.files import FORMATS
from telebot.call.errors import ApiError
from telebot.providers import registry
from telebot.providers.catalogue import Model, Vendor
from telebot.providers.clips import VoiceRow
from telebot.records.keys import Scope
from telebot.voice.listings import VoiceLists
from telebot.voice.offers import WORKS, Offer
from telebot.voice.service import Voice


class PriceRow(BaseModel):
    """What a model costs; null where it is not known."""

    unit: str
    amount: float | None
    amounts: dict[str, float]
    currency: str
    verified: bool
    sources: list[str]
    note: str


class ModelRow(BaseModel):
    """A model of a provider."""

    id: str = Field(description="as `model` of a request")
    provider: str
    kind: str
    streaming: bool | None
    price: PriceRow | None
    shutdown_date: date | None
    replacement: str | None


class ModelPage(BaseModel):
    """`GET /v1/voice/models`, unpaged."""

    data: list[ModelRow]
    next_cursor: str | None = None


class Health(BaseModel):
    """How a provider's model fares in this process."""

    kind: str
    model: str
    state: str = Field(description="closed: in use; open: left alone; half_open: being tried")
    cause: str | None
    latency_ms: float | None = Field(description="median of the last ones, to the first output")
    latency_p95_ms: float | None = Field(description="within which 95 in 100 of them lay")
    failures: dict[str, int]
    successes: int


class ProviderRow(BaseModel):
    """A vendor, or what runs on this machine."""

    id: str
    name: str
    kinds: list[str]
    status: Literal["active", "retiring", "retired"]
    available: bool = Field(description="a key is there, and it can be asked here")
    serves: list[str] = Field(description="stt, llm and tts of `/v1/voice`")
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


class ProviderPage(BaseModel):
    """`GET /v1/voice/providers`: one entry for each, unpaged, the retired ones too."""

    data: list[ProviderRow]
    next_cursor: str | None = None


class VoiceAnswer(BaseModel):
    """A voice that can be named."""

    id: str
    name: str
    provider: str
    language: str | None
    gender: str | None
    preview_url: str | None


class VoicePage(BaseModel):
    """`GET /v1/voice/voices`. `missing`: providers that could not be asked."""

    data: list[VoiceAnswer]
    missing: list[str]
    next_cursor: str | None = None


class HealthAnswer(BaseModel):
    """`GET /v1/voice/health`. `providers` only for who has a key."""

    status: Literal["up", "degraded"] = Field(description="degraded: a provider is left alone")
    providers: list[Health] | None = None


class ListQuery(BaseModel):
    """What lists can be narrowed to."""

    model_config = ConfigDict(extra="forbid")

    provider: Annotated[str, Field(max_length=128)] | None = Field(None, description="of one alone")
    kind: Literal["stt", "tts", "llm", "realtime"] | None = Field(None, description="of one kind")


class VoiceQuery(ListQuery):
    """What the voices can be narrowed to."""

    language: Language | None = Field(None, description="e.g. en or en-GB; or not told")


class Lists:
    """The endpoints."""

    def __init__(self, voice: Voice, who: WhoAsks) -> None:
        self._voice = voice
        self._who = who
        self._listings = VoiceLists(voice.clock)

    def endpoints(self) -> list[Endpoint]:
        viewer, wrong = Scope.VIEWER, (400,)
        return [
            Endpoint(
                "GET",
                "/v1/voice/models",
                self.voice_models,
                viewer,
                "Every model that is known, with its price",
                ModelPage,
                ListQuery,
                wrong,
            ),
            Endpoint(
                "GET",
                "/v1/voice/providers",
                self.providers,
                viewer,
                "Every provider: what it can do, what it costs, how it is",
                ProviderPage,
                ListQuery,
                wrong,
            ),
            Endpoint(
                "GET",
                "/v1/voice/voices",
                self.voices,
                viewer,
                "The voices of the providers whose keys are there",
                VoicePage,
                VoiceQuery,
                (400, 404),
            ),
            Endpoint(
                "GET",
                "/v1/voice/health",
                self.health,
                None,
                "Up, and with a key how each provider is",
                HealthAnswer,
            ),
        ]

    async def voice_models(self, request: web.Request) -> web.Response:
        query = parsed(ListQuery, request)
        rows = [
            row
            for provider in self._providers(await self._voice.ready(self._who(request)))
            for row in provider.models
            if query.provider in (None, row.provider) and query.kind in (None, row.kind)
        ]
        return answer(ModelPage(data=rows))

    async def providers(self, request: web.Request) -> web.Response:
        query = parsed(ListQuery, request)
        rows = [
            row
            for row in self._providers(await self._voice.ready(self._who(request)))
            if query.provider in (None, row.id) and (query.kind is None or query.kind in row.kinds)
        ]
        return answer(ProviderPage(data=rows))

    async def voices(self, request: web.Request) -> web.Response:
        query = parsed(VoiceQuery, request)
        if query.provider is not None and query.provider not in self._voice.offers.names("tts"):
            raise ApiError(404, "provider_not_found", f"No voice of {query.provider}.", "provider")
        who = self._who(request)
        offers = [
            offer
            for offer in await self._voice.ready(who)
            if offer.work == "tts" and query.provider in (None, offer.provider)
        ]
        listed = await self._listings.of(who, offers)
        found = [
            _voice(provider, row)
            for provider, rows in listed.items()
            for row in rows or ()
            if _speaks(row, query.language)
        ]
        missing = [provider for provider, rows in listed.items() if rows is None]
        return answer(VoicePage(data=found, missing=missing))

    async def health(self, request: web.Request) -> web.Response:
        if not self._who(request):
            return answer(HealthAnswer(status="up"))
        offers = await self._voice.ready(self._who(request))
        told = [self._health(offer) for offer in offers]
        fine = all(each.state == "closed" for each in told)
        return answer(HealthAnswer(status="up" if fine else "degraded", providers=told))

    def _providers(self, offers: list[Offer]) -> Iterator[ProviderRow]:
        """What runs here first, then the catalogue's vendors in their order, then those that were
        added and stand in no catalogue."""
        known = set()
        for name in self._ours():
            known.add(name)
            yield self._row(name, None, offers)
        for name, vendor in self._voice.offers.resources.catalogue.vendors.items():
            known |= {name, *vendor.served_as}
            yield self._row(name, vendor, offers)
        names = self._voice.offers.names
        for name in sorted({name for work in WORKS for name in names(work)} - known):
            yield self._row(name, None, offers)

    def _ours(self) -> list[str]:
        names = {name for work in WORKS for name in self._voice.offers.names(work)}
        return sorted(names & registry.OURS)

    def _row(self, name: str, vendor: Vendor | None, offers: list[Offer]) -> ProviderRow:
        names = {name, *(vendor.served_as if vendor else ())}
        served = {work: set(self._voice.offers.names(work)) for work in WORKS}
        kinds: list[str] = [work for work in WORKS if name in served[work]]
        if vendor is not None:
            kinds = _kinds(vendor)
        mine = [offer for offer in offers if offer.provider in names and offer.work in kinds]
        return ProviderRow(
            id=name,
            name=vendor.name if vendor else "This machine" if name in registry.OURS else name,
            kinds=kinds,
            status=vendor.status if vendor else "active",
            available=bool(mine),
            serves=sorted({work for work in WORKS if work in kinds and names & served[work]}),
            abilities={offer.work: sorted(offer.worker.abilities) for offer in mine},
            formats=list(FORMATS),
            languages=["en"] if name in registry.OURS else None,
            shutdown_date=vendor.shutdown_date if vendor else None,
            note=" ".join(filter(None, (vendor.shutdown_note, vendor.note))) if vendor else "",
            replacement=vendor.replacement if vendor else None,
            as_of=vendor.as_of if vendor else None,
            verified=vendor.verified if vendor else True,
            docs=list(vendor.docs) if vendor else [],
            models=_models(name, vendor, kinds),
            health=[self._health(offer) for offer in mine],
        )

    def _health(self, offer: Offer) -> Health:
        told: dict[str, Any] = self._voice.router.breaker(offer).told()
        fields = ("state", "cause", "latency_ms", "latency_p95_ms", "failures", "successes")
        return Health(
            kind=offer.work, model=offer.model, **{field: told[field] for field in fields}
        )


def _voice(provider: str, row: VoiceRow) -> VoiceAnswer:
    heard = row.preview_url if (row.preview_url or "").startswith("https://") else None
    return VoiceAnswer(
        id=row.id,
        name=row.name or row.id,
        provider=provider,
        language=row.language,
        gender=row.gender,
        preview_url=heard,
    )


def _speaks(row: VoiceRow, language: str | None) -> bool:
    """Whether a voice may be of this language: of some nobody says it."""
    if language is None or row.language is None:
        return True
    known = row.language.lower().replace("_", "-")
    wanted = language.lower()
    return f"{known}-".startswith(f"{wanted}-") or known == wanted.partition("-")[0]


def _kinds(vendor: Vendor) -> list[str]:
    kinds = {model.kind for model in vendor.models.values()}
    if vendor.kind in ("stt", "llm", "tts", "realtime"):
        kinds.add(vendor.kind)
    return sorted(kinds)


def _models(name: str, vendor: Vendor | None, kinds: list[str]) -> list[ModelRow]:
    if vendor is None:
        return [_unlisted(name, kind) for kind in kinds]
    served = vendor.served_as[0] if vendor.served_as else name
    return [_model(f"{served}/{model}", name, row) for model, row in vendor.models.items()]


def _unlisted(name: str, kind: str) -> ModelRow:
    """Of what stands in no catalogue: this machine costs nothing, of others nothing is known."""
    price = PriceRow(
        unit={"tts": "1m_characters", "llm": "1m_tokens"}.get(kind, "minute"),
        amount=0.0,
        amounts={},
        currency="",
        verified=True,
        sources=[],
        note="runs on this machine",
    )
    return ModelRow(
        id=name,
        provider=name,
        kind=kind,
        streaming=None,
        price=price if name in registry.OURS else None,
        shutdown_date=None,
        replacement=None,
    )


def _model(id: str, provider: str, row: Model) -> ModelRow:
    price = row.price
    return ModelRow(
        id=id,
        provider=provider,
        kind=row.kind,
        streaming=row.streaming,
        price=None
        if price is None
        else PriceRow(
            unit=price.unit,
            amount=price.amount,
            amounts={str(name): amount for name, amount in price.amounts.items()},
            currency=price.currency,
            verified=price.verified,
            sources=list(price.source),
            note=price.note,
        ),
        shutdown_date=row.shutdown_date,
        replacement=row.replacement,
    )
