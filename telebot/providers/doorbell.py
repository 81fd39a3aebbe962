"""Waiting for something to be there, at the price of one callback: what a queue is made of.

Caller and bot audio pass a chain in thousands of pieces a minute, and an `asyncio.Queue` with a
timeout around it costs more than all that is done with them. `chain.Inbox` and `listening.Feed`.
"""

from __future__ import annotations

import asyncio


class Doorbell:
    """One waits, others ring. A ring that nobody waits for is forgotten: look before waiting."""

    def __init__(self) -> None:
        self._waiting: asyncio.Future[bool] | None = None

    def ring(self) -> None:
        waiting = self._waiting
        if waiting is not None and not waiting.done():
            waiting.set_result(True)

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Until somebody rings; False where nobody has for so long."""
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[bool] = loop.create_future()
        self._waiting = waiting
        timer = None
        if timeout_s is not None:
            timer = loop.call_later(max(0.0, timeout_s), _give_up, waiting)
        try:
            return await waiting
        finally:
            self._waiting = None
            if timer is not None:
                timer.cancel()


def _give_up(waiting: asyncio.Future[bool]) -> None:
    if not waiting.done():
        waiting.set_result(False)
