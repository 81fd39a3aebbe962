"""The voices that vendors list, kept for a while: asked with the request's own key first.

Nobody sees the voices of another's key: what is kept belongs to whose key was used. Next:
`api/voice/lists.py`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence

from telebot.call.ports import Clock
from telebot.providers.clips import ClipFailed, ListsVoices, VoiceRow
from telebot.voice.attempts import as_failures
from telebot.voice.offers import Offer

WITHIN_S = 10.0
FRESH_S = 300.0
MOST_LISTS = 256
MOST_VOICES = 5000  # of one vendor

Key = tuple[str, str, str]  # whose key, provider, account


class VoiceLists:
    """Asks vendors for their voices, and remembers what they said."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[Key, tuple[float, Sequence[VoiceRow]]] = OrderedDict()

    async def of(self, owner: str, offers: Sequence[Offer]) -> dict[str, Sequence[VoiceRow] | None]:
        """By provider, the first offer of each that can be asked; None where none could, or the
        vendor has no such list."""
        by_provider: dict[str, list[Offer]] = {}
        for offer in offers:
            by_provider.setdefault(offer.provider, []).append(offer)
        found = await asyncio.gather(*(self._first(owner, each) for each in by_provider.values()))
        return dict(zip(by_provider, found, strict=True))

    async def _first(self, owner: str, offers: Sequence[Offer]) -> Sequence[VoiceRow] | None:
        for offer in offers:
            if (rows := await self._listed(owner, offer)) is not None:
                return rows
        return None

    async def _listed(self, owner: str, offer: Offer) -> Sequence[VoiceRow] | None:
        speaks = offer.speaks
        if not isinstance(speaks, ListsVoices):
            return None
        key = (owner if offer.own_key else "", offer.provider, offer.account)
        at, rows = self._kept.get(key, (float("-inf"), ()))
        if self._clock() - at < FRESH_S:
            return rows
        try:
            async with asyncio.timeout(WITHIN_S):
                with as_failures(offer):
                    rows = (await speaks.voices())[:MOST_VOICES]
        except (ClipFailed, TimeoutError):
            return None
        self._kept[key] = (self._clock(), rows)
        self._kept.move_to_end(key)
        while len(self._kept) > MOST_LISTS:
            self._kept.popitem(last=False)
        return rows
