"""What owners have spent of this month's budgets: what the records say, and what happened since.

The sum in the database is looked up now and then, for what other servers of it write; what this one
finishes counts at once, and what it has begun counts by its estimate until it is finished. So no
more can be spent beyond a budget than what is under way, as far as that was underestimated.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from telebot.call.ports import Clock, WallClock
from telebot.records.reports import Range, Reports

FRESH_S = 10.0  # what other servers spend counts after this
REMEMBERED = 10_000  # owners
NANOS = 1_000_000_000


@dataclass(slots=True)
class _Owner:
    month: datetime
    read_at: float = float("-inf")
    base_nanos: int = 0  # up to the moment of the look-up, from the records
    since: list[tuple[datetime, int]] = field(default_factory=list)
    since_nanos: int = 0
    running_nanos: int = 0
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Spending:
    """The sums of one server's owners. `written` waits until the records can be read, `live` tells
    what an owner's calls that are up have cost so far."""

    def __init__(
        self,
        reports: Reports,
        written: Callable[[], Awaitable[None]],
        clock: Clock,
        now: WallClock,
        live: Callable[[str], int] = lambda _: 0,
    ) -> None:
        self._reports = reports
        self._written = written
        self._clock = clock
        self._now = now
        self._live = live
        self._owners: OrderedDict[str, _Owner] = OrderedDict()

    @property
    def currency(self) -> str:
        return self._reports.currency

    def note(self, owner_id: str, at: datetime, nanos: int) -> None:
        """A piece of work is finished, and on its way into the records."""
        owner = self._owners.get(owner_id)
        if owner is None or not nanos:
            return  # the look-up will find it
        idle = self._clock() - owner.read_at > 6 * FRESH_S
        if idle and not owner.looking.locked() and not owner.running_nanos:
            del self._owners[owner_id]  # nobody asks any more
            return
        owner.since.append((at, nanos))
        owner.since_nanos += nanos

    async def nanos(self, owner_id: str) -> int:
        """Spent this month, and under way. Raises `RecordsAway`."""
        month = _month(self._now())
        owner = self._owners.setdefault(owner_id, _Owner(month))
        self._owners.move_to_end(owner_id)
        async with owner.looking:
            if owner.month != month or self._clock() - owner.read_at > FRESH_S:
                await self._look_up(owner_id, owner, month)
        self._forget()
        under_way = owner.running_nanos + self._live(owner_id)
        return owner.base_nanos + owner.since_nanos + under_way

    @contextmanager
    def running(self, owner_id: str, nanos: int) -> Iterator[None]:
        """Work that will cost about so much, until the block ends."""
        owner = self._owners.setdefault(owner_id, _Owner(_month(self._now())))
        owner.running_nanos += nanos
        try:
            yield
        finally:
            owner.running_nanos -= nanos

    async def _look_up(self, owner_id: str, owner: _Owner, month: datetime) -> None:
        # all that was finished before `until` was handed to the records before it, and none of
        # what comes after is in the sum
        until = self._now().astimezone(UTC)
        await self._written()
        sums = await self._reports.sums(Range(month, until, owner_id), ())
        owner.month, owner.read_at = month, self._clock()
        owner.base_nanos = sum(one.amount_nanos for one in sums.values())
        owner.since = [(at, nanos) for at, nanos in owner.since if at >= until]
        owner.since_nanos = sum(nanos for _, nanos in owner.since)

    def _forget(self) -> None:
        while len(self._owners) > REMEMBERED:
            first = next(iter(self._owners.values()))
            if first.running_nanos or first.looking.locked():
                return
            self._owners.popitem(last=False)


def _month(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
