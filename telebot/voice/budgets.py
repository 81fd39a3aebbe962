"""Whether an owner's budget of the month has room for a piece of work, before it is begun.

`web/key_budgets.py` asks it of every request, and the work itself once it is known who would do it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from telebot.call.errors import ApiError
from telebot.records.spending import NANOS, Spending


async def check(spending: Spending, owner_id: str, budget: float | None) -> None:
    """Raises `ApiError` (402) where it is used up, by what is under way too."""
    if budget is not None:
        spent = await spending.nanos(owner_id)
        if spent >= budget * NANOS:
            raise _used_up(spending, spent, budget)


@asynccontextmanager
async def within(
    spending: Spending, owner_id: str, budget: float, estimate_nanos: int
) -> AsyncIterator[None]:
    """A piece of work that will cost about so much. Raises `ApiError` (402) where that is more than
    is left."""
    spent = await spending.nanos(owner_id)
    if spent + estimate_nanos > budget * NANOS or spent >= budget * NANOS:
        raise _used_up(spending, spent, budget, estimate_nanos)
    with spending.running(owner_id, estimate_nanos):
        yield


def _used_up(spending: Spending, spent: int, budget: float, estimate: int = 0) -> ApiError:
    about = f", and this would cost about {estimate / NANOS:.4f}" if estimate else ""
    return ApiError(
        402,
        "budget_used_up",
        f"This key has spent {spent / NANOS:.2f} of its {budget:.2f} {spending.currency} of this "
        f"month{about}.",
    )
