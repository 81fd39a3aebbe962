"""One call that the bot makes over SIP: a `live.py:LiveCall` from the other end.

`calls.py` begins it for the carrier; `placing.py` rings. Once somebody has answered, everything
goes as with a call that came in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from telebot.call.model import Call
from telebot.sip.causes import missed
from telebot.sip.leg import Invite, Leg
from telebot.sip.live import LiveCall, Surroundings
from telebot.sip.placing import Missed, Placing, order
from telebot.sip.trunks import KnownTrunk

log = structlog.get_logger(__name__)


class NoLeg(Leg):
    """In the place of the leg until somebody has answered."""

    def __init__(self, invite: Invite) -> None:
        self.invite = invite
        self.listener = None
        self.gone = True


class PlacedCall(LiveCall):
    """A call to somebody. `token` lets its media in once there is an answer."""

    def __init__(
        self,
        around: Surroundings,
        placing: Placing,
        trunk: KnownTrunk,
        call: Call,
        *,
        token: str,
        call_id: str,
        within_s: float,
    ) -> None:
        offer = call.offer
        nobody = Invite(call_id, offer.phone_from, offer.phone_to, ("", 0), None, trunk)
        super().__init__(around, NoLeg(nobody), call_id)
        self._placing = placing
        self._given = call, token
        self._within_s = within_s
        self._ringing: asyncio.Task[bool] | None = None

    def stop(self, reason: str) -> None:
        """End the call from our side; while it rings, it is given up."""
        super().stop(reason)
        if self._ringing is not None:
            self._ringing.cancel()

    def _admit(self) -> tuple[Call, str]:
        return self._given

    async def _connect(self) -> bool:
        self._ringing = asyncio.create_task(self._ring())
        try:
            return await self._ringing
        except asyncio.CancelledError:
            if not self._stopped.is_set():  # the call's own task is to end
                self._ringing.cancel()
                raise
            return False
        finally:
            self._ringing = None

    async def _ring(self) -> bool:
        call, trunk = self._given[0], self.trunk
        agreement = (await self._open_media()).agreement
        wanted = order(
            trunk,
            call.offer.phone_to,
            call.offer.phone_from,
            agreement.offer(),
            call_id=self._carrier_call_id,
        )
        self.note("invite", trunk=trunk.name)
        try:
            taken = await self._placing.ring(trunk, wanted, self._within_s, self._rang())
        except Missed as why:
            self.note("missed", status=why.cause.status, q850=why.cause.q850, text=why.cause.text)
            self._reason = self._reason or missed(why.cause)
            log.info("call_missed", reason=self._reason, status=why.cause.status)
            return False
        self.leg = taken.leg
        agreement.take(taken.sdp)
        taken.leg.listen(self)
        return not self._stopped.is_set()

    def _rang(self) -> Callable[[int], None]:
        """Says once that it rings."""
        told: set[int] = set()

        def rang(status: int) -> None:
            if status not in told:
                told.add(status)
                self.note("ringing", status=status)

        return rang
