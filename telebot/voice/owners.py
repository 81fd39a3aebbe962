"""What the owner of an API key has: providers' keys of its own, what it may use, what it may spend.

Where nothing is known of owners (a server without records) everybody uses the house's keys. Next:
`routing.py` takes the keys, `budgets.py` the money.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager

from telebot.call.errors import ApiError, Local
from telebot.providers.resources import Resources
from telebot.records.spending import Spending
from telebot.records.vault import Opened
from telebot.voice import budgets
from telebot.voice.permits import ANY, Permit
from telebot.voice.routing import Keys, KeySource


class Owners:
    """`stored` gives the providers' keys of an owner, `permit` what it may use; `spending` is what
    everybody has spent this month."""

    def __init__(
        self,
        *,
        stored: Callable[[str], Awaitable[Sequence[Opened]]] | None = None,
        permit: Callable[[str], Awaitable[Permit]] | None = None,
        spending: Spending | None = None,
    ) -> None:
        self._stored = stored
        self._permit = permit
        self._spending = spending

    async def permit(self, key_id: str) -> Permit:
        """What an owner may use, and how urgent it is."""
        return ANY if self._permit is None or not key_id else await self._permit(key_id)

    async def keys(self, key_id: str, house: Resources) -> Keys:
        """Whose keys a request of this API key's owner may use, in the order of trying: its own,
        the `house`'s, its own that are for fallback. Raises `ApiError` where they do not open."""
        permit = await self.permit(key_id)
        ours = KeySource(house, permit=permit)
        if not key_id or self._stored is None:
            return [ours]
        try:
            stored = await self._stored(key_id)
        except Local as error:
            raise ApiError(503, "keys_sealed", f"{error}.") from None
        before = [_source(each, permit, house) for each in stored if not each.key.fallback]
        after = [_source(each, permit, house) for each in stored if each.key.fallback]
        return [*before, ours, *after]

    @asynccontextmanager
    async def within_budget(self, key_id: str, estimate: Callable[[], int]) -> AsyncIterator[None]:
        """Work that will cost the house about so much (billionths): counted against its owner's
        budget from now on. Raises `ApiError` (402) where that has no room for it."""
        budget = (await self.permit(key_id)).monthly_budget
        if budget is None or self._spending is None:
            yield
            return
        async with budgets.within(self._spending, key_id, budget, estimate()):
            yield


def _source(opened: Opened, permit: Permit, house: Resources) -> KeySource:
    key = opened.key
    return KeySource(
        house.with_key(key.provider, opened.secret),
        own=True,
        provider=key.provider,
        models=frozenset(key.allowed_models),
        permit=permit,
    )
