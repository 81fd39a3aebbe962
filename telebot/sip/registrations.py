"""Registering at PBXs and providers, so that they send us their calls (RFC 3261 section 10).

On the loop: one task for each trunk that `registers`. A registration is renewed well before it
ends; where its registrar is silent or refuses, the next one of the trunk is asked, and each time
the first one first again. What comes from a registrar's addresses belongs to its trunk.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog

from telebot.sip.messages import Address, Question, Reply
from telebot.sip.placing import new_call_id
from telebot.sip.targets import NoTarget, Targets
from telebot.sip.trunks import KnownTrunk, Trunks

WITHIN_S = 5.0  # a registrar that has not answered by then is silent
LEAVE_WITHIN_S = 2.0
FIRST_WAIT_S, LONGEST_WAIT_S = 2.0, 120.0  # after failures, doubled each time
REFUSED_WAIT_S, LONGEST_REFUSED_WAIT_S = 60.0, 3600.0  # a wrong password locks us out
RENEW_AT = (0.7, 0.85)  # of what was granted, by chance
LEAST_RENEWAL_S = 5.0
LONGEST_S = 86_400
CSEQ_STEP = 8  # a request and its answers to challenges count themselves

Ask = Callable[[Question, Address], Awaitable[Reply]]
log = structlog.get_logger(__name__)


class Registration:
    """One trunk's. `run` is its task."""

    def __init__(
        self,
        trunk: KnownTrunk,
        trunks: Trunks,
        targets: Targets,
        ask: Ask,
        *,
        own: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`own` is our host and port as the Contact names them."""
        self.trunk = trunk
        self.registrar: Address | None = None  # where we are registered
        self.why = "not yet asked"  # the last failure
        self._trunks = trunks
        self._targets = targets
        self._ask = ask
        self._own = own
        self._clock = clock
        self._sleep = sleep
        self._chance = chance
        self._until = 0.0
        self._expires_s = trunk.settings.outbound.register_s
        self._call_id = new_call_id(trunk.domain)
        self._cseq = 1
        self._failures = 0

    @property
    def left_s(self) -> float:
        """How long it still lasts; 0 where there is none."""
        return max(0.0, self._until - self._clock()) if self.registrar else 0.0

    @property
    def state(self) -> Mapping[str, Any]:
        """For `/health/ready`."""
        if self.left_s > 0 and self.registrar is not None:
            host, port = self.registrar
            return {"registered": True, "registrar": f"{host}:{port}", "left_s": int(self.left_s)}
        return {"registered": False, "why": self.why}

    async def run(self) -> None:
        """For ever."""
        while True:
            wait_s = await self.register()
            if self.registrar is not None and self.left_s < wait_s:
                await self._sleep(self.left_s)
                wait_s -= self.left_s
                self._lost()
            await self._sleep(wait_s)

    async def register(self) -> float:
        """Once, at the first registrar that takes us; in how many seconds to do so again."""
        refused, retry_s, addresses = False, 0.0, set[str]()
        async for address in self._addresses():
            addresses.add(address[0])
            reply = await self._at(address)
            if reply.status // 100 == 2:
                return self._registered(address, reply, addresses)
            self.why = f"{reply.status} {reply.reason}"
            refused = refused or reply.status in (401, 403, 404, 407)
            retry_s = max(retry_s, _number(reply.first("retry-after")))
        self._failures += 1
        log.warning("sip_not_registered", trunk=self.trunk.name, why=self.why)
        first, longest = FIRST_WAIT_S, LONGEST_WAIT_S
        if refused:
            first, longest = REFUSED_WAIT_S, LONGEST_REFUSED_WAIT_S
        wait_s = min(longest, first * 2.0 ** min(self._failures - 1, 16))
        return max(wait_s, min(retry_s, longest)) * (0.75 + self._chance() / 2)

    async def leave(self) -> None:
        """Take it back, where the registrar answers in time."""
        address, self.registrar = self.registrar, None
        if address is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(LEAVE_WITHIN_S):
                    await self._ask(self._question(0), address)

    async def _addresses(self) -> AsyncIterator[Address]:
        for host in self.trunk.hosts:
            try:
                for address in await self._targets.of(host):
                    yield address
            except NoTarget as error:
                self.why = str(error)

    async def _at(self, address: Address) -> Reply:
        """The answer of one registrar; 408 where it is silent."""
        reply = Reply(408, "no answer")
        for _ in range(2):
            try:
                async with asyncio.timeout(WITHIN_S):
                    reply = await self._ask(self._question(self._expires_s), address)
            except TimeoutError:
                pass
            if reply.status == 408:
                self._targets.silent(address)
                return reply
            self._targets.answered(address)
            least_s = int(_number(reply.first("min-expires")))
            if reply.status != 423 or not self._expires_s < least_s <= LONGEST_S:
                return reply
            self._expires_s = least_s
        return reply

    def _question(self, expires_s: int) -> Question:
        outbound, domain = self.trunk.settings.outbound, self.trunk.domain
        self._cseq += CSEQ_STEP
        return Question(
            "REGISTER",
            headers=(("Expires", str(expires_s)),),
            uri=f"sip:{domain}",
            sender=f"sip:{outbound.user}@{domain}",
            contact=outbound.user,
            call_id=self._call_id,
            cseq=self._cseq,
            account=self.trunk.account,
        )

    def _registered(self, address: Address, reply: Reply, addresses: set[str]) -> float:
        granted_s = granted(reply, self._own) or self._expires_s
        if self.registrar != address:
            log.info("sip_registered", trunk=self.trunk.name, granted_s=granted_s)
        self.registrar, self.why, self._failures = address, "", 0
        self._until = self._clock() + granted_s
        self._trunks.learn(self.trunk.name, addresses)
        low, high = RENEW_AT
        return max(LEAST_RENEWAL_S, granted_s * (low + (high - low) * self._chance()))

    def _lost(self) -> None:
        self.registrar = None
        self._trunks.learn(self.trunk.name, ())
        log.warning("sip_registration_lost", trunk=self.trunk.name, why=self.why)


class Registrations:
    """All of a server; owns their tasks."""

    def __init__(self, all_of_them: list[Registration]) -> None:
        self._all = all_of_them
        self._tasks: list[asyncio.Task[None]] = []

    def open(self) -> None:
        """Register from now on."""
        self._tasks = [asyncio.create_task(one.run(), name="sip_register") for one in self._all]

    async def close(self) -> None:
        """Take all of them back, in bounded time."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(one.leave() for one in self._all))

    def states(self) -> Mapping[str, Mapping[str, Any]]:
        """By trunk."""
        return {one.trunk.name: one.state for one in self._all}

    def registered(self) -> dict[str, bool]:
        """By trunk."""
        return {one.trunk.name: one.left_s > 0 for one in self._all}


def granted(reply: Reply, own: str) -> int:
    """For how many seconds our Contact is registered; 0 where the answer does not say."""
    contacts = reply.all("contact")
    ours = contacts if len(contacts) == 1 else [one for one in contacts if f"@{own}" in one]
    for value in ours:
        for parameter in value.rpartition(">")[2].split(";"):
            name, _, seconds = parameter.strip().partition("=")
            if name.lower() == "expires":
                return int(_number(seconds))
    return int(_number(reply.first("expires")))


def _number(text: str | None) -> float:
    """The number that a header begins with; 0 where there is none."""
    digits = (text or "").strip().strip('"').partition(";")[0].partition(" ")[0]
    return min(float(digits), LONGEST_S) if digits.isascii() and digits.isdigit() else 0.0
