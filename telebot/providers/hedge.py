"""Asking a second link beside a slow first one: whoever speaks first is taken.

`chain_llm.py` uses it for the first token where a link says so (``hedge_s``). The one that is not
taken is hushed and charged with nothing, unless it failed or passed its own deadline before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from telebot.providers.chain import LinkFailed
from telebot.providers.failure import Failure
from telebot.providers.link import Port

T = TypeVar("T")

Ask = Callable[[Port], Awaitable[T]]


class Race(Generic[T]):
    """One question to a first port, and after `after_s` also to a second.

    `ask` puts it and returns once the link speaks, or raises `LinkFailed`; `give_up` is
    told of one that failed, `hush` has one that was asked in vain fall silent."""

    def __init__(
        self,
        ask: Ask[T],
        give_up: Callable[[Port, Failure], Awaitable[None]],
        hush: Callable[[Port], Awaitable[None]],
    ) -> None:
        self._ask = ask
        self._give_up = give_up
        self._hush = hush
        self._asked: dict[asyncio.Task[T], Port] = {}
        self.failed: list[Port] = []

    async def run(self, ports: Sequence[Port], after_s: float | None) -> T | None:
        """What the first of (at most) two to speak said; None where all that were asked failed: the
        first before its time for the second had come, or both."""
        try:
            self._begin(ports[0])
            won = await self._first(after_s)
            if won is None and self._asked and len(ports) > 1:
                self._begin(ports[1])
            while won is None and self._asked:
                won = await self._first(None)
            return won.result() if won is not None else None
        finally:
            await self._end()

    def _begin(self, port: Port) -> None:
        async def ask() -> T:
            return await self._ask(port)

        self._asked[asyncio.create_task(ask(), name="hedge")] = port

    async def _first(self, timeout_s: float | None) -> asyncio.Task[T] | None:
        """The task of a port that spoke; those that failed are given up."""
        done, _ = await asyncio.wait(
            self._asked, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
        )
        won = None
        for task in [
            task for task in self._asked if task in done
        ]:  # the first one before the other
            error = task.exception()
            if error is None and won is None:
                won = task
            elif isinstance(error, LinkFailed):
                port = self._asked.pop(task)
                self.failed.append(port)
                await self._give_up(port, error.failure)
            elif error is not None:
                raise error
        if won is not None:
            del self._asked[won]
        return won

    async def _end(self) -> None:
        """Hush whoever was asked and is not taken."""
        left, self._asked = self._asked, {}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for port in left.values():
            await self._hush(port)
