"""The vendors of a direct session: who may hold it, in which order, and the session that one of
them has opened.

One that cannot be opened is not asked again; its breaker tells the next sessions. Next:
`direct.py`, which feeds the open one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from telebot.audio.fullband import Rate
from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers import registry
from telebot.providers.breaker import Breaker
from telebot.providers.direct import DirectEvent, DirectSession, Manner, failure_of
from telebot.speech.chains import Plan
from telebot.speech.direct_record import DirectRecord

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class DirectLink:
    """A vendor that may be asked."""

    plan: Plan
    breaker: Breaker

    def build(self) -> DirectSession:
        """Raises ProviderConfigError."""
        assert self.plan.resources is not None
        return registry.build_direct(self.plan.spec, self.plan.resources)


class NobodyLeft(ProviderError):
    """No vendor's session could be opened."""


class OpenSession:
    """A vendor's session that is up; audio is at the client's rate. Where it is gone, what it is
    told is lost, and its `events` say so."""

    def __init__(self, link: DirectLink, session: DirectSession, rate_hz: int) -> None:
        self.link = link
        self._session = session
        self._to = Rate(rate_hz, session.rate_hz)
        self._from = Rate(session.rate_hz, rate_hz)
        self._closed = False

    @property
    def name(self) -> str:
        """Provider and model, as they stand in the record."""
        return self.link.plan.name

    async def hear(self, pcm16: bytes) -> None:
        """The client's audio."""
        audio = self._to.feed(pcm16)
        if audio and not self._closed:
            await self._told(self._session.hear(audio))

    async def say(self, text: str) -> None:
        """A turn that is typed; an answer follows."""
        if not self._closed:
            await self._told(self._session.say(text))

    def cut(self, heard_s: float) -> None:
        """What is being answered is over, as of now; so much of it was heard."""
        self._session.cut(heard_s)

    async def tell_cut(self) -> None:
        """Let the vendor know of what was cut."""
        if not self._closed:
            await self._told(self._session.tell_cut())

    async def change(self, manner: Manner) -> None:
        """Be otherwise from the next answer on. Raises ProviderError."""
        if not self._closed:
            await self._session.change(manner)

    def events(self) -> AsyncIterator[DirectEvent]:
        """Until the session is over, which raises ProviderError."""
        return self._session.events()

    def at_clients_rate(self, pcm16: bytes) -> bytes:
        """More of an answer's audio."""
        return self._from.feed(pcm16)

    async def close(self) -> None:
        """Idempotent."""
        self._closed = True
        await self._session.close()

    async def _told(self, telling: Awaitable[None]) -> None:
        try:
            await telling
        except ProviderError as error:
            log.info("direct session lost", provider=self.name, error=str(error))


class Vendors:
    """Who may hold a session, in their order."""

    def __init__(self, links: Sequence[DirectLink], record: DirectRecord) -> None:
        self.links = tuple(links)
        self._left = self.links
        self._record = record

    async def open(self, manner: Manner, history: Sequence[Mapping[str, Any]]) -> OpenSession:
        """The session of the first who can; it is told what was said. Raises `NobodyLeft`."""
        well = [link for link in self._left if link.breaker.closed() or link.breaker.may_probe()]
        for link in well or self._left:  # silence is worse than asking one that was ill
            session = await self._opened(link, manner, history)
            if session is not None:
                return session
        raise NobodyLeft("no realtime provider could be reached")

    async def _opened(
        self, link: DirectLink, manner: Manner, history: Sequence[Mapping[str, Any]]
    ) -> OpenSession | None:
        outside = self._record.outside
        began = outside.clock()
        try:
            session = link.build()
        except ProviderConfigError as error:
            log.info("no direct session", provider=link.plan.name, why=str(error))
            return None
        try:
            async with asyncio.timeout(link.plan.patience.start_s):
                await session.open(manner, history)
        except (ProviderError, TimeoutError) as error:
            await session.close()
            self.rule_out(link)
            self.failed(link, error)
            return None
        link.breaker.succeeded(outside.clock() - began)
        return OpenSession(link, session, outside.rate_hz)

    def failed(self, link: DirectLink, error: BaseException) -> None:
        """Another one has to take over; it stands in the record."""
        failure = failure_of(error)
        link.breaker.failed(failure)
        cause = failure.cause.value
        call_id, provider = self._record.outside.call.id, link.plan.name
        log.warning("failover", call_id=call_id, provider=provider, cause=cause)
        self._record.event("failover", kind="realtime", provider=provider, cause=cause)

    def rule_out(self, link: DirectLink) -> None:
        """This one is not asked again."""
        self._left = tuple(each for each in self._left if each is not link)

    def rule_in(self) -> None:
        """Every one may be asked again."""
        self._left = self.links
