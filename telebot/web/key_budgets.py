"""What a key may spend on voice work in a month: looked up now and then, not at every request."""

from __future__ import annotations

from datetime import UTC, datetime

from aiohttp import web

from telebot.call.errors import ApiError
from telebot.call.ports import Clock, WallClock
from telebot.records.keys import ApiKey
from telebot.records.reports import Range, Reports
from telebot.web.auth import KEY
from telebot.web.errors import Handler
from telebot.web.rate_limits import LIMITED

FRESH_S = 10.0  # how much may be spent beyond the budget is what is spent in this time
NANOS = 1_000_000_000


class KeyBudgets:
    """Keeps the sums of the month."""

    def __init__(self, reports: Reports, clock: Clock, now: WallClock) -> None:
        self._reports = reports
        self._clock = clock
        self._now = now
        self._spent: dict[str, tuple[float, float]] = {}  # when looked up, how much

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises `ApiError` (402) where a key's budget is used up; lists are answered still."""
        key = request.get(KEY)
        if key is not None and request.method == "POST" and request.path.startswith(LIMITED):
            await self.check(key)
        return await handler(request)

    async def check(self, key: ApiKey) -> None:
        """Raises `ApiError` (402)."""
        if key.monthly_budget is None:
            return
        spent = await self._this_month(key.id)
        if spent >= key.monthly_budget:
            currency = self._reports.currency
            message = (
                f"This key has spent {spent:.2f} of its {key.monthly_budget:.2f} {currency} "
                "of this month."
            )
            raise ApiError(402, "budget_used_up", message)

    async def _this_month(self, key_id: str) -> float:
        looked, spent = self._spent.get(key_id, (float("-inf"), 0.0))
        if self._clock() - looked > FRESH_S:
            now: datetime = self._now().astimezone(UTC)
            start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            sums = await self._reports.sums(Range(start, now, key_id), ())
            spent = sum(one.amount_nanos for one in sums.values()) / NANOS
            self._spent[key_id] = (self._clock(), spent)
        return spent
