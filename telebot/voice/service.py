"""What every piece of work shares, put together once: whom to ask, what is billed, what is kept.

Owned by `app.py`; the endpoints of `api/voice/` hold one. Next: `transcribing.py`,
`replying.py`, `speaking.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from telebot.call.errors import ApiError, Local
from telebot.call.ports import Clock, WallClock
from telebot.providers import registry
from telebot.providers.breaker import Breakers
from telebot.providers.clips import Use
from telebot.providers.pacing import Pacing
from telebot.providers.resources import Resources
from telebot.records.spending import Spending
from telebot.records.vault import Opened
from telebot.voice import budgets
from telebot.voice.attempts import Attempt, Attempts
from telebot.voice.fetching import Fetcher
from telebot.voice.filters import Filters
from telebot.voice.kept_sounds import KeptSounds
from telebot.voice.line import Line
from telebot.voice.offers import WORKS, Offer, Offers, Work, load_makers
from telebot.voice.permits import ANY, Permit
from telebot.voice.pricing import FREE, Cost, cost_of
from telebot.voice.routing import Keys, KeySource, Router, Skipped
from telebot.voice.sound_room import SoundRoom
from telebot.voice.tailoring import PLAINLY, Kept, Tailor, Under
from telebot.voice.threads import Threads
from telebot.voice_settings import VoiceSettings

HIT, MISS = "hit", "miss"
# columns of the record → the units of use that they count
WHOLE_COUNTS = {
    "characters": ("characters",),
    "tokens_in": ("tokens_in", "cached_tokens_in"),
    "tokens_out": ("tokens_out",),
}


@dataclass(frozen=True, slots=True)
class Done:
    """One finished piece of work, for the record: who did it, what it cost, how long it took.

    `provider` is empty where nobody did it; `first_ms` is the time to the first output."""

    id: str
    at: datetime
    key_id: str
    work: str
    provider: str
    own_key: bool
    uses: tuple[Use, ...]
    cost: Cost
    ms: float
    first_ms: float | None
    attempts: Sequence[Attempt]
    skipped: Sequence[Skipped] = ()
    error: str = ""
    user: str = ""
    variant: str = ""
    agent: str = ""
    cache: str = ""  # hit or miss, where a kept sound was looked for
    saved: Cost | None = None  # what a hit would have cost

    def values(self) -> dict[str, Any]:
        """By the columns of the record's table."""
        counted: dict[str, float] = {}
        for use in self.uses:
            counted[use.unit] = counted.get(use.unit, 0.0) + use.quantity
        sums = {
            name: [counted[unit] for unit in units if unit in counted]
            for name, units in WHOLE_COUNTS.items()
        }
        whole = {name: int(sum(counts)) if counts else None for name, counts in sums.items()}
        return {
            "id": self.id,
            "at": self.at,
            "key_id": self.key_id,
            "kind": self.work,
            "provider": self.provider,
            "own_key": self.own_key,
            "seconds": counted.get("s"),
            **whole,
            "amount_nanos": 0 if self.own_key else self.cost.nanos,
            "currency": self.cost.currency,
            "ms": self.ms,
            "first_ms": self.first_ms,
            "tried": len(self.attempts),
            "error": self.error,
            "attempts": [made.told() for made in self.attempts],
            "user_id": self.user,
            "variant": self.variant,
            "agent": self.agent,
            "cache": self.cache,
            "saved_nanos": None if self.saved is None else self.saved.nanos,
        }


class Voice:
    """One server's voice work. `close` it."""

    def __init__(
        self,
        resources: Resources,
        breakers: Breakers,
        pacing: Pacing,
        settings: VoiceSettings,
        *,
        currency: str,
        clock: Clock,
        wall_clock: WallClock,
        ledger: Callable[[Done], None] = lambda done: None,
        stored: Callable[[str], Awaitable[Sequence[Opened]]] | None = None,
        kept: Kept | None = None,
        permit: Callable[[str], Awaitable[Permit]] | None = None,
        spending: Spending | None = None,
        filters: Filters | None = None,
        sounds: KeptSounds | None = None,
    ) -> None:
        """`stored` gives the providers' keys of an owner, `permit` what it may use; `kept` has
        their users' preferences, and the flags; `filters` are asked before anything is said,
        `sounds` are what was said before. They are its own from now on."""
        self.settings = settings
        self.offers = Offers(resources, settings.servers)
        self.router = Router(self.offers, breakers)
        self.fetcher = Fetcher(settings.fetch_hosts, most_bytes=settings.max_upload_mb << 20)
        self.tailor = Tailor(kept)
        self.line = Line(settings, clock)
        self.threads = Threads(settings.media_threads, "media")
        self.decoded = SoundRoom(settings.decoded_mb << 20)
        self.filters = filters or Filters((), settings.filters)
        self.sounds = sounds
        self._loading: dict[Work, asyncio.Future[None]] = {}
        self.clock = clock
        self.currency = currency
        self._pacing = pacing
        self._wall_clock = wall_clock
        self._ledger = ledger
        self._stored = stored
        self._permit = permit
        self._spending = spending

    async def loaded(self, work: Work) -> None:
        """What the vendors of a kind of work are made of is there. The first time that takes
        seconds, in which calls go on: their packages are imported in a thread."""
        if work not in self._loading:
            loading = asyncio.to_thread(load_makers, work)
            self._loading[work] = asyncio.ensure_future(loading)
        if not self._loading[work].done():
            await asyncio.shield(self._loading[work])

    async def keys(self, key_id: str = "", work: Work | None = None) -> Keys:
        """Whose keys a request of this API key's owner may use, in the order of trying: its own,
        the house's, its own that are for fallback. `work` is what is to be done by them next.
        Raises `ApiError` where they do not open."""
        if work is not None:
            await self.loaded(work)
        permit = await self.permit(key_id)
        house = KeySource(self.offers.resources, permit=permit)
        if not key_id or self._stored is None:
            return [house]
        try:
            stored = await self._stored(key_id)
        except Local as error:
            raise ApiError(503, "keys_sealed", f"{error}.") from None
        before = [self._source(each, permit) for each in stored if not each.key.fallback]
        after = [self._source(each, permit) for each in stored if each.key.fallback]
        return [*before, house, *after]

    async def permit(self, key_id: str) -> Permit:
        """What an owner may use, and how urgent it is."""
        return ANY if self._permit is None or not key_id else await self._permit(key_id)

    @asynccontextmanager
    async def within_budget(
        self, key_id: str, offers: Sequence[Offer], uses: tuple[Use, ...]
    ) -> AsyncIterator[None]:
        """Work that will use about so much of the first of `offers`: counted against its owner's
        budget from now on. Raises `ApiError` (402) where that has no room for it."""
        budget = (await self.permit(key_id)).monthly_budget
        if budget is None or self._spending is None:
            yield
            return
        paid = [offer for offer in offers[:1] if not offer.own_key]
        estimate = sum(self.cost(offer, uses).nanos or 0 for offer in paid)
        async with budgets.within(self._spending, key_id, budget, estimate):
            yield

    async def ready(self, key_id: str = "") -> list[Offer]:
        """Every provider that a request of this API key's owner could use, of all work."""
        for work in WORKS:
            await self.loaded(work)
        return [
            offer
            for source in await self.keys(key_id)
            for work in WORKS
            for offer in self.offers.ready(
                work, source.resources, own=source.own, provider=source.provider
            )
            if source.opens(offer.provider, offer.model)
        ]

    def _source(self, opened: Opened, permit: Permit) -> KeySource:
        key = opened.key
        return KeySource(
            self.offers.resources.with_key(key.provider, opened.secret),
            own=True,
            provider=key.provider,
            models=frozenset(key.allowed_models),
            permit=permit,
        )

    def providers(self) -> set[str]:
        """The names of all that a key can be stored for."""
        names = {name for work in WORKS for name in self.offers.names(work)}
        return names - registry.OURS

    def attempts(self, key_id: str, under: Under = PLAINLY) -> Attempts:
        """For one request of the owner of this API key."""
        return Attempts(
            self.router, self._pacing, key_id, self.clock, under=under, threads=self.threads
        )

    def cost(self, offer: Offer, uses: tuple[Use, ...]) -> Cost:
        """What it costs the house; nothing where the owner's own key pays."""
        return cost_of(self.offers.resources.catalogue, offer.work, offer.name, uses, self.currency)

    def finish(
        self,
        work: str,
        key_id: str,
        began: float,
        attempts: Attempts,
        *,
        offer: Offer | None = None,
        uses: tuple[Use, ...] = (),
        first_at: float | None = None,
        error: str = "",
        id: str = "",
        cache: str = "",
    ) -> Done:
        """Write a piece of work down. Times are `clock`'s. Of what was kept (`cache` is ``hit``)
        `uses` are what it would have taken; nothing is paid for it."""
        now = self.clock()
        cost = self.cost(offer, uses) if offer else Cost(None, self.currency, False)
        saved = None
        if cache == HIT:
            saved, cost, uses = cost, Cost(FREE, self.currency, True), ()
        done = Done(
            id=id or new_id(),
            at=self._wall_clock(),
            key_id=key_id,
            work=work,
            provider=offer.name if offer else "",
            own_key=offer.own_key if offer else False,
            uses=uses,
            cost=cost,
            ms=(now - began) * 1000,
            first_ms=None if first_at is None else (first_at - began) * 1000,
            attempts=tuple(attempts.made),
            skipped=attempts.skipped,
            error=error,
            user=attempts.under.user,
            variant=attempts.under.variant,
            agent=attempts.under.agent,
            cache=cache,
            saved=saved,
        )
        self._ledger(done)
        return done

    async def close(self) -> None:
        """Close the connections that fetch recordings, and write down what is kept."""
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        self.threads.close()
        await self.fetcher.close()
        if self.sounds is not None:
            await self.sounds.close()


def new_id() -> str:
    """Of a piece of work (``gen_…``)."""
    return f"gen_{uuid4().hex}"
