"""Ringing somebody up over a trunk, until an answer or until it is given up.

On the loop. The INVITE goes to the trunk's targets one after another (`targets.py`); the first that
says anything is the one. `placed.py` makes calls of the bot with it, `second_leg.py` the leg to a
person.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from telebot.call.errors import CarrierError
from telebot.sip.causes import Cause
from telebot.sip.leg import Leg
from telebot.sip.messages import Address, Headers, Order
from telebot.sip.stack import Stack
from telebot.sip.targets import NoTarget, Targets
from telebot.sip.trunks import KnownTrunk

FIRST_WORD_S = 4.0  # a target that has not even said 100 by then is dead: the next one
TRY_NEXT = frozenset({408, 500, 502, 503, 504})  # before anybody rang (RFC 3263 section 4.3)
SCHEMES = ("sip:", "sips:")
GIVEN_UP = Cause(487, 16, "given up")
NOBODY = Cause(408, 18, "nobody answered")
GLARE = Cause(491)

log = structlog.get_logger(__name__)


class Missed(CarrierError):
    """Nobody took the call; `cause` says why."""

    def __init__(self, cause: Cause) -> None:
        super().__init__(f"{cause.status} {cause.text}".strip())
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Taken:
    """Somebody answered: the leg, and the answer to our offer."""

    leg: Leg
    sdp: bytes


class Attempt:
    """One INVITE to one target: the leg's `Caller`."""

    def __init__(self, rang: Callable[[int], None]) -> None:
        self.leg: Leg | None = None
        self.heard = asyncio.Event()  # anything at all
        self.rings = False
        self._rang = rang
        self._early: bytes | None = None
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.answer.add_done_callback(_seen)

    def ringing(self, status: int, sdp: bytes | None) -> None:
        """100, 180, 183 …; early media is a ringing tone, not an answer."""
        self.heard.set()
        self._early = sdp or self._early
        if status > 100:
            self.rings = True
            self._rang(status)

    def accepted(self, sdp: bytes | None) -> None:
        """A 200. Some say in the 183 alone what they send and take."""
        self.heard.set()
        if not self.answer.done():
            self.answer.set_result(sdp or self._early or b"")

    def over(self, cause: Cause) -> None:
        """A refusal, or silence (408)."""
        self.heard.set()
        if not self.answer.done():
            self.answer.set_exception(Missed(cause))

    def offered(self, sdp: bytes | None) -> None:
        """A re-INVITE before anybody here looks: later."""
        if self.leg is not None:
            self.leg.refuse(GLARE)

    def acknowledged(self, sdp: bytes | None) -> None:
        """Nothing of ours waits for it."""

    def keyed(self, digit: str) -> None:
        """Nobody listens yet."""

    def ended_itself(self, reason: str) -> None:
        """It is given up, or over, anyway."""


class Placing:
    """What rings people up."""

    def __init__(self, stack: Stack, targets: Targets) -> None:
        self._stack = stack
        self.targets = targets

    async def ring(
        self,
        trunk: KnownTrunk,
        order: Order,
        within_s: float,
        rang: Callable[[int], None] = lambda status: None,
    ) -> Taken:
        """Ring until somebody answers. Raises `Missed`. Cancelled, it gives up."""
        last = Missed(Cause(503, 38, "no target answered"))
        try:
            async with asyncio.timeout(within_s):
                async for address in self._addresses(trunk):
                    try:
                        return await self._try(trunk, order, address, rang)
                    except _NextOne as failed:
                        last = failed.why
        except TimeoutError:
            raise Missed(NOBODY) from None
        raise last

    async def _addresses(self, trunk: KnownTrunk) -> AsyncIterator[Address]:
        tried: set[Address] = set()
        for host in trunk.hosts:
            with suppress(NoTarget):
                for address in await self.targets.of(host):
                    if address not in tried:
                        tried.add(address)
                        yield address

    async def _try(
        self, trunk: KnownTrunk, order: Order, address: Address, rang: Callable[[int], None]
    ) -> Taken:
        """Raises `Missed`, `_NextOne`."""
        attempt = Attempt(rang)
        leg = attempt.leg = self._stack.invite(order, address, trunk, attempt)
        taken: Taken | None = None
        try:
            try:
                async with asyncio.timeout(FIRST_WORD_S):
                    await attempt.heard.wait()
            except TimeoutError:
                self.targets.silent(address)
                log.warning("sip_target_silent", trunk=trunk.name, target=f"{address[0]}")
                raise _NextOne(Missed(Cause(408, 102, "no response"))) from None
            self.targets.answered(address)
            taken = Taken(leg, await attempt.answer)
            return taken
        except Missed as missed:
            if not attempt.rings and missed.cause.status in TRY_NEXT:
                raise _NextOne(missed) from missed
            raise
        finally:
            if taken is None:
                leg.hang_up(GIVEN_UP)


class _NextOne(Exception):
    """This target is no good."""

    def __init__(self, why: Missed) -> None:
        super().__init__(str(why))
        self.why = why


def _seen(answer: asyncio.Future[bytes]) -> None:
    """Nobody may wait any more when it fails."""
    if not answer.cancelled():
        answer.exception()


def new_call_id(host: str) -> str:
    """A Call-ID (RFC 3261 section 8.1.1.4)."""
    return f"{secrets.token_hex(16)}@{host}"


def order(
    trunk: KnownTrunk,
    number: str,
    caller: str,
    sdp: bytes,
    *,
    headers: Headers = (),
    call_id: str = "",
) -> Order:
    """An INVITE to a number, or to a SIP address, over a trunk. The caller is a number of ours;
    `caller_id` of the trunk stands above it."""
    outbound = trunk.settings.outbound
    shown = outbound.caller_id or caller
    if shown.lower().startswith(SCHEMES):
        shown = outbound.user or "telebot"
    return Order(
        to=uri(trunk, number),
        sender=f"sip:{shown}@{trunk.domain}",
        user=outbound.user or shown,
        sdp=sdp,
        call_id=call_id or new_call_id(trunk.domain),
        account=trunk.account,
        headers=headers,
    )


def uri(trunk: KnownTrunk, number: str) -> str:
    """The URI of a number on a trunk; of a SIP address, itself."""
    if number.lower().startswith(SCHEMES):
        return number
    return f"sip:{number}@{trunk.settings.outbound.domain or trunk.hosts[0]}"
