"""The links of a chain, and which of them is tried when.

A `Link` is one provider with its model, of one kind; it builds a Pipecat service for a call. What a
chain knows of the health of its links are the process's breakers (`breaker.py`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import structlog
from pipecat.frames.frames import StartFrame
from pipecat.processors.frame_processor import FrameProcessor, FrameProcessorSetup

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.breaker import Breaker
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.hosted import Hosted, Take
from telebot.providers.pacing import Pace

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """What a caller tolerates of a link, in seconds: until it is connected, until its first output,
    between two of them. A slower vendor's file may say more. After `hedge_s` without a first
    output the next link is asked beside it."""

    start_s: float
    first_s: float
    stall_s: float
    hedge_s: float | None = None


@dataclass(slots=True)
class Link:
    """One provider of a chain. `whole` links answer a turn as a whole and cannot go on with what
    another one began (the dialog brain). `timed` voices tell their words' times ahead of them.
    `sound` names a vendor's voice with all that shapes its sound, where it may be kept."""

    name: str  # provider and model, as in the record: deepgram/nova-3
    build: Callable[[], FrameProcessor]
    breaker: Breaker
    patience: Patience
    whole: bool = False
    timed: bool = False
    sound: str = ""
    pace: Pace | None = None  # None: it may be asked as often as one likes


@dataclass(slots=True)
class Port:
    """A link's service in one call: hosted when it is first needed, dropped when it fails."""

    link: Link
    hosted: Hosted | None = None
    starting: asyncio.Task[None] | None = field(default=None, repr=False)

    async def up(self, take: Take, setup: FrameProcessorSetup, frame: StartFrame) -> Hosted:
        """Its running service. Raises ProviderError, and TimeoutError where it does not start in
        time."""
        if self.hosted is not None and self.hosted.up:
            return self.hosted
        if self.starting is None:
            await self.drop()
            self.hosted = Hosted(self.link.build(), take)
            self.starting = asyncio.create_task(
                self.hosted.start(setup, frame), name="provider start"
            )
        starting = self.starting
        try:
            await _done_within(starting, self.link.patience.start_s)
        finally:
            self.starting = None
        hosted = self.hosted
        if hosted is None:
            raise ProviderError("the provider was dropped while it started")
        return hosted

    async def drop(self) -> None:
        """End its service; a new one is built when the link is used again."""
        starting, self.starting = self.starting, None
        if starting is not None:
            starting.cancel()
            with contextlib.suppress(asyncio.CancelledError, ProviderError):
                await starting
        hosted, self.hosted = self.hosted, None
        if hosted is not None:
            await hosted.stop()


class Ports:
    """A chain's links in one call. The chain that owns it closes it."""

    def __init__(self, links: Sequence[Link]) -> None:
        if not links:
            raise ProviderConfigError("a chain needs at least one provider")
        self._ports = [Port(link) for link in links]
        self.cost: Callable[[str], float] | None = None  # by name: the cheaper ones go first

    def __iter__(self) -> Iterator[Port]:
        return iter(self._ports)

    def usable(self) -> list[Port]:
        """The links in their order, those with an open breaker left out; all of them where every
        one is open, since silence is worse than a slow answer."""
        ports = self._ordered()
        return [port for port in ports if port.link.breaker.closed()] or ports

    def preferred(self) -> list[Link]:
        """Whose kept work is as good as new: the link that is used now, then those before it,
        which are out."""
        used = self.usable()[0]
        before = itertools.takewhile(lambda port: port is not used, self._ordered())
        return [used.link, *(port.link for port in before)]

    def to_probe(self) -> Port | None:
        """The first link before the usable ones whose time to be tried again has come."""
        for port in self._ordered():
            if port.link.breaker.closed():
                return None
            if port.link.breaker.may_probe():
                return port
        return None

    def _ordered(self) -> list[Port]:
        cost = self.cost
        if cost is None:
            return list(self._ports)
        return sorted(self._ports, key=lambda port: cost(port.link.name))

    async def close(self) -> None:
        await asyncio.gather(*(port.drop() for port in self._ports))


async def _done_within(starting: asyncio.Task[None], start_s: float) -> None:
    """Until it has started; a start that is not waited for any more is ended. Raises TimeoutError
    and what starting raises."""
    try:
        async with asyncio.timeout(start_s):
            await asyncio.shield(starting)
    finally:
        if not starting.done():
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)


def failure_of(error: BaseException, hosted: Hosted | None) -> Failure:
    """Why a link could not be started."""
    if isinstance(error, TimeoutError):
        return Failure(Cause.SLOW_START)
    if hosted is not None and hosted.error is not None:
        return of_error(hosted.error)
    return Failure(Cause.ERROR)
