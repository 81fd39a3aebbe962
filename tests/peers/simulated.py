"""The simulated vendors on a free port, and services that the registry builds against them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from pipecat.utils.errors import ErrorCategory

from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.simulate.faults import POINTS, Fault
from telebot.simulate.registry import environ as addresses
from telebot.simulate.server import Simulator

__all__ = ["CAUSES", "POINTS", "Simulated", "simulated"]

CAUSES = {
    401: ErrorCategory.AUTHENTICATION,
    429: ErrorCategory.RATE_LIMIT,
    500: ErrorCategory.SERVER,
}


@dataclass
class Simulated:
    """`url` is the port's; `environ` points every vendor's base URL and a good key at it."""

    sim: Simulator
    url: str
    environ: dict[str, str]
    resources: Resources

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something has become true (at most 20 s)."""
        for _ in range(2000):
            if true():
                return
            await asyncio.sleep(0.01)
        raise TimeoutError

    def fault(self, *texts: str) -> None:
        """From now on these faults, e.g. ``openai.llm=stall@first``."""
        self.sim.faults.on = [Fault.parse(text) for text in texts]


@asynccontextmanager
async def simulated(speech: LocalSpeech, vendors: Iterable[str]) -> AsyncIterator[Simulated]:
    """A running simulator of `vendors` (names of `simulate/registry.py`)."""
    sim = Simulator(speech)
    runner = web.AppRunner(sim.app(vendors), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    environ = addresses(url)
    resources = Resources(speech, environ)
    try:
        yield Simulated(sim, url, environ, resources)
    finally:
        await resources.close()
        await runner.cleanup()
