"""The simulated vendors on a free port, and services that the registry builds against them."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web
from pipecat.utils.errors import ErrorCategory

from telebot.providers.local_speech import LocalSpeech
from telebot.providers.resources import Resources
from telebot.simulate.faults import POINTS, Fault
from telebot.simulate.registry import OWN_PORTS
from telebot.simulate.registry import environ as addresses
from telebot.simulate.server import Simulator
from telebot.simulate.speech import Speech

__all__ = ["CAUSES", "POINTS", "Simulated", "simulated"]

CAUSES = {
    401: ErrorCategory.AUTHENTICATION,
    429: ErrorCategory.RATE_LIMIT,
    500: ErrorCategory.SERVER,
}


_heard: dict[tuple[int, bytes], str] = {}


class Remembering(Speech):
    """The vendors' ears: what they have heard before they know again. The same sentence is said to
    them a thousand times, and it is not they who are tested."""

    async def hear(self, pcm16: bytes, rate_hz: int) -> str:
        key = (rate_hz, hashlib.sha256(pcm16).digest())
        if key not in _heard:
            _heard[key] = await super().hear(pcm16, rate_hz)
        return _heard[key]


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
    sim, served = Simulator(speech), set(vendors)
    sim.speech = Remembering(speech)
    runner = web.AppRunner(sim.app(served), access_log=None, shutdown_timeout=1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    environ = addresses(url)
    stops = []
    for vendor in sorted(served & OWN_PORTS.keys()):
        module, _, function = OWN_PORTS[vendor].partition(":")
        port, stop = await getattr(importlib.import_module(module), function)(sim, "127.0.0.1")
        environ[f"{vendor.upper()}_BASE_URL"] = f"http://127.0.0.1:{port}"
        stops.append(stop)
    resources = Resources(speech, environ)
    try:
        yield Simulated(sim, url, environ, resources)
    finally:
        await resources.close()
        for stop in stops:
            await stop()
        await runner.cleanup()
