"""What every piece of work shares, put together once: whom to ask, what is billed, what is kept.

Owned by `app.py`; the endpoints of `api/voice/` hold one. Next: `hearing.py`, `replying.py`,
`synthesis.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from telebot.providers import registry
from telebot.providers.breaker import Breakers
from telebot.providers.clips import Use
from telebot.providers.pacing import Pacing
from telebot.providers.resources import Resources
from telebot.voice.attempts import Attempts
from telebot.voice.books import Books, Entry
from telebot.voice.fetching import Fetcher
from telebot.voice.filters import Filters
from telebot.voice.kept_sounds import KeptSounds
from telebot.voice.line import Line
from telebot.voice.offers import WORKS, Offer, Offers, Work, load_makers
from telebot.voice.owners import Owners
from telebot.voice.permits import Permit
from telebot.voice.pricing import Cost
from telebot.voice.routing import Keys, Router
from telebot.voice.sound_room import SoundRoom
from telebot.voice.tailoring import PLAINLY, Kept, Tailor, Under
from telebot.voice.threads import Threads
from telebot.voice_settings import VoiceSettings


class Voice:
    """One server's voice work. `close` it."""

    def __init__(
        self,
        resources: Resources,
        breakers: Breakers,
        pacing: Pacing,
        settings: VoiceSettings,
        books: Books,
        *,
        owners: Owners | None = None,
        kept: Kept | None = None,
        filters: Filters | None = None,
        sounds: KeptSounds | None = None,
    ) -> None:
        """`kept` has the preferences of owners' users, and the flags; `filters` are asked before
        anything is said, `sounds` are what was said before. They are its own from now on."""
        self.settings = settings
        self.books = books
        self.clock = books.clock
        self.owners = owners or Owners()
        self.offers = Offers(resources, settings.servers)
        self.router = Router(self.offers, breakers)
        self.fetcher = Fetcher(settings.fetch_hosts, most_bytes=settings.max_upload_mb << 20)
        self.tailor = Tailor(kept)
        self.line = Line(settings, books.clock)
        self.threads = Threads(settings.media_threads, "media")
        self.decoded = SoundRoom(settings.decoded_mb << 20)
        self.filters = filters or Filters((), settings.filters)
        self.sounds = sounds
        self._loading: dict[Work, asyncio.Future[None]] = {}
        self._pacing = pacing

    async def loaded(self, work: Work) -> None:
        """What the vendors of a kind of work are made of is there. The first time that takes
        seconds, in which calls go on: their packages are imported in a thread."""
        if work not in self._loading:
            loading = asyncio.to_thread(load_makers, work)
            self._loading[work] = asyncio.ensure_future(loading)
        if not self._loading[work].done():
            await asyncio.shield(self._loading[work])

    async def keys(self, key_id: str = "", work: Work | None = None) -> Keys:
        """As `Owners.keys`. `work` is what is to be done by them next. Raises `ApiError`."""
        if work is not None:
            await self.loaded(work)
        return await self.owners.keys(key_id, self.offers.resources)

    async def permit(self, key_id: str) -> Permit:
        """What an owner may use, and how urgent it is."""
        return await self.owners.permit(key_id)

    def within_budget(
        self, key_id: str, offers: Sequence[Offer], uses: tuple[Use, ...]
    ) -> AbstractAsyncContextManager[None]:
        """Work that will use about so much of the first of `offers`: counted against its owner's
        budget from now on. Raises `ApiError` (402) where that has no room for it."""

        def estimate() -> int:
            paid = [offer for offer in offers[:1] if not offer.own_key]
            return sum(self.cost(offer, uses).nanos or 0 for offer in paid)

        return self.owners.within_budget(key_id, estimate)

    async def ready(self, key_id: str = "") -> list[Offer]:
        """Every provider that a request of this API key's owner could use, of all work."""
        for work in WORKS:
            await self.loaded(work)
        return [
            offer
            for source in await self.keys(key_id)
            for work in WORKS
            for offer in self.offers.ready(work, source.means(), source.provider)
            if source.opens(offer.provider, offer.model)
        ]

    def providers(self) -> set[str]:
        """The names of all that a key can be stored for."""
        names = {name for work in WORKS for name in self.offers.names(work)}
        return names - registry.OURS

    def attempts(self, key_id: str, under: Under = PLAINLY) -> Attempts:
        """For one request of the owner of this API key."""
        return Attempts(
            self.router, self._pacing, key_id, self.clock, under=under, threads=self.threads
        )

    def entry(self, work: Work, key_id: str, under: Under = PLAINLY) -> Entry:
        """A piece of work begins, for the owner of this API key."""
        return self.books.entry(work, self.attempts(key_id, under))

    def cost(self, offer: Offer, uses: tuple[Use, ...]) -> Cost:
        """What its vendor bills for it."""
        return self.books.cost(offer, uses)

    async def close(self) -> None:
        """Close the connections that fetch recordings, and write down what is kept."""
        await asyncio.gather(*self._loading.values(), return_exceptions=True)
        self.threads.close()
        await self.fetcher.close()
        if self.sounds is not None:
            await self.sounds.close()
