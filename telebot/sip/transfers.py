"""Putting callers on SIP through to a person: by REFER, or with both legs connected here.

The carrier (`carriers/`) asks. Blind: the peer is asked to call the person; where it does not take
REFER, or the trunk says `bridge`, we ring them up and connect both. Warm: the person is rung up
first and told, then the peer is asked to replace our leg by the caller's (RFC 3891), else both are
connected here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Protocol

import structlog

from telebot.call.errors import CarrierError, NotReached, ProviderError, Unable
from telebot.sip import sdp
from telebot.sip.causes import missed
from telebot.sip.live import LiveCall
from telebot.sip.placing import Missed, Placing, uri
from telebot.sip.ports import Busy
from telebot.sip.referring import RefersNot, refer, refer_to
from telebot.sip.ringback import ringback
from telebot.sip.second_leg import OpenMedia, SecondLeg
from telebot.sip.trunks import KnownTrunk

BLIND_WITHIN_S = 45.0  # for the person to answer, rung up by the peer
REPLACE_WITHIN_S = 10.0  # for the peer to reach a telephone that is off the hook
TELL_WITHIN_S = 30.0

log = structlog.get_logger(__name__)


class Speaks(Protocol):
    """A voice of ours for the person."""

    async def __call__(self, text: str) -> bytes:
        """8 kHz mu-law."""
        ...


class Handover:
    """The transfers of a server's calls. `trunk_for` names the trunk that may dial a number, one
    that is asked for first."""

    def __init__(
        self,
        placing: Placing,
        open_media: OpenMedia,
        trunk_for: Callable[[str, str], KnownTrunk],
        speak: Speaks | None,
    ) -> None:
        self._placing = placing
        self._open_media = open_media
        self._trunk_for = trunk_for
        self._speak = speak

    async def blind(self, live: LiveCall, to: str) -> None:
        """Returns once somebody else has the caller. Raises `CarrierError`."""
        if live.trunk.settings.transfer == "refer":
            try:
                await self._refer(live, refer_to(target(live, to)), BLIND_WITHIN_S)
            except RefersNot as no:
                live.note("refer_refused", status=no.status)
            else:
                return
        async with ringback(live.stream):
            person = await self._ring(live, to, BLIND_WITHIN_S)
        await self._join(live, person)

    async def warm(
        self,
        live: LiveCall,
        to: str,
        summary: str,
        within_s: float,
        answered: Callable[[], None],
    ) -> None:
        """As `call/ports.py:TransfersWarm` has it. Raises `Unable` where no trunk may dial `to`."""
        if self._speak is None:
            raise Unable("there is no voice to tell the person")
        said = asyncio.ensure_future(self._speak(summary))
        try:
            person = await self._ring(live, to, within_s)
            async with AsyncExitStack() as undo:
                undo.push_async_callback(person.close)
                answered()
                await self._tell(person, said)
                await self._connect(live, person)
                undo.pop_all()
        finally:
            said.cancel()

    async def _ring(self, live: LiveCall, to: str, within_s: float) -> SecondLeg:
        trunk = self._trunk_for(to, live.trunk.name)
        assert live.call is not None
        try:
            return await SecondLeg.ring(
                self._placing,
                self._open_media,
                trunk,
                to=to,
                caller=live.call.offer.phone_ours,
                within_s=within_s,
            )
        except Missed as why:
            raise NotReached(missed(why.cause), str(why)) from why
        except (sdp.BadSdp, sdp.NotAcceptable, Busy) as why:
            raise CarrierError(str(why)) from why

    async def _tell(self, person: SecondLeg, said: Awaitable[bytes]) -> None:
        try:
            async with asyncio.timeout(TELL_WITHIN_S):
                if await person.say(await said):
                    return
        except TimeoutError:
            raise CarrierError("the summary could not be said in time") from None
        except ProviderError as error:
            raise CarrierError(f"the summary could not be said: {error}") from error
        raise NotReached("hung_up")

    async def _connect(self, live: LiveCall, person: SecondLeg) -> None:
        """Bring both together: where their trunk is one, by its own hand."""
        settings = live.trunk.settings
        if settings.transfer == "refer" and person.trunk.name == live.trunk.name:
            known = await person.leg.identify()
            try:
                await self._refer(live, refer_to(known.target, known), REPLACE_WITHIN_S)
            except RefersNot as no:
                live.note("refer_refused", status=no.status)
            except NotReached as failed:
                live.note("refer_failed", why=str(failed))
            else:
                await person.close()
                return
        await self._join(live, person)

    async def _join(self, live: LiveCall, person: SecondLeg) -> None:
        if person.gone.is_set() or not live.join(person):
            await person.close()
            raise NotReached("hung_up")

    async def _refer(self, live: LiveCall, to: str, within_s: float) -> None:
        await refer(live.leg, to, own_uri(live), live.ended, within_s)
        live.note("referred")


def target(live: LiveCall, to: str) -> str:
    """The URI of a person as the caller's peer knows it."""
    if live.trunk.hosts or to.lower().startswith(("sip:", "sips:")):
        return uri(live.trunk, to)
    return f"sip:{to}@{live.leg.invite.source[0]}"


def own_uri(live: LiveCall) -> str:
    """Who refers."""
    ours = live.call.offer.phone_ours if live.call is not None else ""
    return f"sip:{ours}@{live.trunk.domain or live.leg.invite.source[0]}"
