"""`GET /v1/voice/models`, `/providers`, `/voices`, `/health`: who could do what, for how much, and
how they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from aiohttp import web

from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.query import parsed
from telebot.api.voice.list_shapes import (
    Health,
    HealthAnswer,
    ListQuery,
    ModelPage,
    ModelRow,
    ProviderPage,
    ProviderRow,
    VoiceAnswer,
    VoicePage,
    VoiceQuery,
    health_of,
    model_row,
    unlisted,
)
from telebot.api.voice.transcribe import WhoAsks
from telebot.audio.files import FORMATS
from telebot.call.errors import ApiError
from telebot.providers import registry
from telebot.providers.catalogue import Vendor
from telebot.providers.clips import VoiceRow
from telebot.records.keys import Scope
from telebot.voice.listings import VoiceLists
from telebot.voice.offers import WORKS, Offer
from telebot.voice.permits import Permit
from telebot.voice.service import Voice


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
            for provider in await self._listed(request)
            for row in provider.models
            if query.provider in (None, row.provider) and query.kind in (None, row.kind)
        ]
        return answer(ModelPage(data=rows))

    async def providers(self, request: web.Request) -> web.Response:
        query = parsed(ListQuery, request)
        rows = [
            row
            for row in await self._listed(request)
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

    async def _listed(self, request: web.Request) -> list[ProviderRow]:
        who = self._who(request)
        return [*self._providers(await self._voice.ready(who), await self._voice.permit(who))]

    def _providers(self, offers: list[Offer], permit: Permit) -> Iterator[ProviderRow]:
        """What runs here first, then the catalogue's vendors in their order, then those that were
        added and stand in no catalogue."""
        known = set()
        for name in self._ours():
            known.add(name)
            yield self._row(name, None, offers, permit)
        for name, vendor in self._voice.offers.resources.catalogue.vendors.items():
            known |= {name, *vendor.served_as}
            yield self._row(name, vendor, offers, permit)
        names = self._voice.offers.names
        for name in sorted({name for work in WORKS for name in names(work)} - known):
            yield self._row(name, None, offers, permit)

    def _ours(self) -> list[str]:
        names = {name for work in WORKS for name in self._voice.offers.names(work)}
        return sorted(names & registry.OURS)

    def _row(
        self, name: str, vendor: Vendor | None, offers: list[Offer], permit: Permit
    ) -> ProviderRow:
        names = {name, *self._also(vendor)}
        catalogue = self._voice.offers.resources.catalogue
        served = {work: set(self._voice.offers.names(work)) for work in WORKS}
        kinds: list[str] = [work for work in WORKS if name in served[work]]
        if vendor is not None:
            parts = [catalogue.vendors[part] for part in vendor.parts]
            kinds = sorted({kind for each in (vendor, *parts) for kind in _kinds(each)})
        direct = names & registry.DIRECT.keys() if "realtime" in kinds else set()
        sessions = self._sessions(direct, permit)
        mine = [offer for offer in offers if offer.provider in names and offer.work in kinds]
        return ProviderRow(
            id=name,
            name=vendor.name if vendor else "This machine" if name in registry.OURS else name,
            kinds=kinds,
            status=vendor.status if vendor else "active",
            available=bool(mine) or bool(sessions),
            serves=sorted(
                {work for work in WORKS if work in kinds and names & served[work]}
                | ({"realtime"} if direct else set())
            ),
            abilities={offer.work: sorted(offer.worker.abilities) for offer in mine},
            formats=list(FORMATS),
            languages=["en"] if name in registry.OURS else None,
            shutdown_date=vendor.shutdown_date if vendor else None,
            note=" ".join(filter(None, (vendor.shutdown_note, vendor.note))) if vendor else "",
            replacement=vendor.replacement if vendor else None,
            as_of=vendor.as_of if vendor else None,
            verified=vendor.verified if vendor else True,
            docs=list(vendor.docs) if vendor else [],
            models=self._models(name, vendor, kinds),
            health=[
                *(self._health(offer) for offer in mine),
                *map(health_of, self._voice.router.known("realtime", sessions)),
            ],
        )

    def _also(self, vendor: Vendor | None) -> Iterator[str]:
        """What else an entry of the catalogue is asked as: by its other names, as the vendor that
        it is a part of, and as those that are parts of it."""
        if vendor is None:
            return
        yield from vendor.served_as
        vendors = self._voice.offers.resources.catalogue.vendors
        for name in (*([vendor.same_as] if vendor.same_as else ()), *vendor.parts):
            yield name
            yield from vendors[name].served_as

    def _sessions(self, names: Collection[str], permit: Permit) -> frozenset[str]:
        """Of these who has sessions of speech to speech, by a key of the house."""
        resources = self._voice.offers.resources
        return frozenset(
            name
            for name in names
            if permit.opens(name, "") and registry.account("realtime", name, resources)
        )

    def _models(self, name: str, vendor: Vendor | None, kinds: list[str]) -> list[ModelRow]:
        priced = self._voice.offers.resources.catalogue.priced
        if vendor is None:
            return [unlisted(name, kind, priced(kind, name)) for kind in kinds]
        served = vendor.served_as[0] if vendor.served_as else name
        ids = {f"{served}/{model}": row for model, row in vendor.models.items()}
        return [
            model_row(id, name, row, priced(row.kind, id), vendor.as_of) for id, row in ids.items()
        ]

    def _health(self, offer: Offer) -> Health:
        return health_of(self._voice.router.breaker(offer), offer.model)


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
