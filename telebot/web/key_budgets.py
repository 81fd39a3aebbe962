"""What an owner may spend on voice work in a month, asked before a request is read."""

from __future__ import annotations

from aiohttp import web

from telebot.records.keys import ApiKey
from telebot.records.spending import Spending
from telebot.voice import budgets
from telebot.web.auth import KEY
from telebot.web.errors import Handler
from telebot.web.rate_limits import LIMITED


class KeyBudgets:
    """Asks `spending`, which knows the sums of the month."""

    def __init__(self, spending: Spending) -> None:
        self._spending = spending

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Raises `ApiError` (402) where a key's budget is used up; lists are answered still."""
        key = request.get(KEY)
        if key is not None and request.method == "POST" and request.path.startswith(LIMITED):
            await self.check(key)
        return await handler(request)

    async def check(self, key: ApiKey) -> None:
        """Raises `ApiError` (402)."""
        await budgets.check(self._spending, key.id, key.monthly_budget)
