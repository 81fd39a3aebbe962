"""What a month comes to, and who is told that a budget is near its end: the server's, and that of
the key that asks."""

from __future__ import annotations

import calendar
from collections.abc import Awaitable, Callable
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from aiohttp import web
from pydantic import Field

from telebot.call.ports import WallClock
from telebot.models import LazyModel
from telebot.records.reports import Range, Reports, total

NANOS = Decimal(1_000_000_000)


class Projection(LazyModel):
    """The month under way, if it goes on like its days so far."""

    month: str
    cost_so_far: float
    cost_projected: float


class Alert(LazyModel):
    """A budget that is, or will be, used up."""

    budget: str = Field(description="whose: `server`, or `key`: the one that asks")
    limit: float
    cost: float
    level: Literal["warning", "exceeded"]
    message: str


class Own(NamedTuple):
    """The budget of a request's key. `warn_at`: from this share of it on; None: not at all."""

    key_id: str
    monthly: float
    warn_at: float | None


OwnBudget = Callable[[web.Request], Awaitable[Own | None]]


async def no_budget(_: web.Request) -> Own | None:
    """For keys that may spend what they want."""
    return None


class Budgets:
    """Asks the records what was spent this month."""

    def __init__(
        self, reports: Reports, now: WallClock, server: float | None, own: OwnBudget
    ) -> None:
        self._reports = reports
        self._now = now
        self._server = server
        self._own = own

    async def projection(self, key_id: str | None) -> Projection:
        """Of one key, or of everything."""
        now = self._now().astimezone(UTC)
        start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        sums = await self._reports.sums(Range(start, now, key_id), ())
        days = calendar.monthrange(now.year, now.month)[1]
        passed = max((now - start) / timedelta(days=1), 1.0)  # the first day says little
        so_far = Decimal(total(list(sums.values())).amount_nanos) / NANOS
        return Projection(
            month=f"{start:%Y-%m}",
            cost_so_far=float(so_far),
            cost_projected=round(float(so_far) * days / passed, 6),
        )

    async def alerts(self, request: web.Request, *, everything: bool) -> list[Alert]:
        """For who asks; `everything`: they see the server's costs too."""
        found = []
        if everything and self._server is not None:
            month = await self.projection(None)
            if month.cost_projected > self._server:
                found.append(_of_month("server", self._server, month))
        own = await self._own(request)
        if own is not None and own.warn_at is not None:
            month = await self.projection(own.key_id)
            if month.cost_so_far >= own.monthly * own.warn_at:
                found.append(_reached("key", own.monthly, month))
        return found


def _of_month(budget: str, limit: float, month: Projection) -> Alert:
    over = month.cost_so_far > limit
    cost = month.cost_so_far if over else month.cost_projected
    what = "has cost" if over else "will come to"
    return Alert(
        budget=budget,
        limit=limit,
        cost=cost,
        level="exceeded" if over else "warning",
        message=f"{month.month} {what} {cost:.2f}, the budget is {limit:.2f}.",
    )


def _reached(budget: str, limit: float, month: Projection) -> Alert:
    cost = month.cost_so_far
    return Alert(
        budget=budget,
        limit=limit,
        cost=cost,
        level="exceeded" if cost >= limit else "warning",
        message=f"{month.month} has cost {cost:.2f}, the budget of this key is {limit:.2f}.",
    )
