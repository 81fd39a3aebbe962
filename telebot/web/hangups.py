"""Calls that we end at the carrier: in the background, in bounded time, never in the caller's way.

The media socket is closed first; this makes sure that the carrier's leg ends too. A failure is
logged; the carrier asks `/fallback` next, which hangs up as well.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from telebot.call.errors import CarrierError
from telebot.call.model import Call
from telebot.call.ports import HangsUp
from telebot.web.metrics import Metrics

CONCURRENT = 20  # requests to a carrier's REST at once
WITHIN_S = 20.0

log = structlog.get_logger(__name__)


class HangUps:
    """Owns the hang-ups under way; close it with the server."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._places = asyncio.Semaphore(CONCURRENT)
        self._closing = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, carrier: object, call: Call, after_s: float = 0.0) -> None:
        """End `call` at its carrier in `after_s` seconds, where the carrier can and knows it."""
        if isinstance(carrier, HangsUp) and call.offer.carrier_call_id:
            task = asyncio.create_task(self._hang_up(carrier, call, after_s))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @property
    def pending(self) -> int:
        """Hang-ups not done yet."""
        return len(self._tasks)

    async def close(self, within_s: float = WITHIN_S) -> None:
        """Do at once what is waiting; give up what is not done in time."""
        self._closing.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within_s)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    async def _hang_up(self, carrier: HangsUp, call: Call, after_s: float) -> None:
        if after_s:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), after_s)
        try:
            async with self._places, asyncio.timeout(WITHIN_S):
                await carrier.hang_up(call)
            outcome = "ok"
        except (CarrierError, TimeoutError) as error:
            outcome = "failed"
            log.warning("hang_up_failed", call_id=call.id, error=str(error) or "timeout")
        except Exception:  # the boundary of the task
            outcome = "failed"
            log.exception("hang_up_failed", call_id=call.id)
        self._metrics.hangups.labels(outcome).inc()
