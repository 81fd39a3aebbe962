"""The leg to a person whom a caller is to be put through to, from the ringing to its end.

`transfers.py` has it ring, tells the person what it is about, and hands it to the caller's call
(`live.py`), which owns it from then on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from telebot.sip import sdp
from telebot.sip.agreement import Agreement
from telebot.sip.causes import Cause
from telebot.sip.leg import Leg
from telebot.sip.placing import Missed, Placing, order
from telebot.sip.rtp import RtpStream
from telebot.sip.trunks import KnownTrunk

PIECE = 8000  # samples of what is said at a time
OVER = Cause(480, 16)

OpenMedia = Callable[[Callable[[str], bool]], Awaitable[RtpStream]]


class SecondLeg:
    """The leg's `Listener` once the person has answered; before that `ring` is under way."""

    def __init__(self, leg: Leg, agreement: Agreement, trunk: KnownTrunk) -> None:
        self.leg = leg
        self.trunk = trunk
        self.stream = agreement.stream
        self.gone = asyncio.Event()
        self.on_gone: Callable[[], None] = self.gone.set
        self._agreement = agreement
        self._played = asyncio.Event()

    @classmethod
    async def ring(
        cls,
        placing: Placing,
        open_media: OpenMedia,
        trunk: KnownTrunk,
        *,
        to: str,
        caller: str,
        within_s: float,
    ) -> SecondLeg:
        """Ring `to` up. Raises `Missed`, `Busy`, `BadSdp`, `NotAcceptable`."""
        peer: list[str] = []
        stream = await open_media(
            lambda address: trunk.may_talk_with(address, peer[0] if peer else "")
        )
        agreement = Agreement(stream, trunk.settings.codecs)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(stream.close)
            wanted = order(trunk, to, caller, agreement.offer())
            taken = await placing.ring(trunk, wanted, within_s)
            leg = taken.leg
            undo.callback(leg.hang_up, Cause(488, 88))
            peer.append(leg.invite.source[0])
            agreement.take(taken.sdp)
            undo.pop_all()
        second = cls(leg, agreement, trunk)
        stream.on_silent = stream.on_failed = second._lost
        stream.begin(second)
        leg.listen(second)
        return second

    async def say(self, ulaw: bytes) -> bool:
        """Say it to the person; False where they hung up meanwhile."""
        for begins in range(0, len(ulaw), PIECE):
            self._played.clear()
            self.stream.send_audio(ulaw[begins : begins + PIECE])
            self.stream.send_mark(str(begins))
            if not await self._either(self._played):
                return False
        return not self.gone.is_set()

    async def close(self, cause: Cause = OVER) -> None:
        """Hang up and give the ports back."""
        self.leg.hang_up(cause)
        await self.stream.close()

    async def _either(self, event: asyncio.Event) -> bool:
        """Until `event`; False where the leg is gone before."""
        waits = [asyncio.ensure_future(one.wait()) for one in (event, self.gone)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        return not self.gone.is_set()

    def _lost(self) -> None:
        self.gone.set()
        self.on_gone()

    # the leg's `Listener`

    def acknowledged(self, answer: bytes | None) -> None:
        """Our 200 to a re-INVITE has arrived."""
        if answer is not None:
            try:
                self._agreement.take(answer)
            except (sdp.BadSdp, sdp.NotAcceptable):
                self._lost()

    def offered(self, offer: bytes | None) -> None:
        """Hold, resume, another address."""
        self._agreement.reply(self.leg, offer)

    def keyed(self, digit: str) -> None:
        """Nobody asks for keys."""

    def ended_itself(self, reason: str) -> None:
        """The person is not there any more."""
        self._lost()

    def over(self, cause: Cause) -> None:
        """The person hung up."""
        self._lost()

    # the stream's `MediaSink`, until both are connected

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        """Nobody listens yet."""

    async def digit(self, digit: str) -> None:
        """Nobody asks for keys."""

    async def played(self, mark: str) -> None:
        """A piece was said."""
        self._played.set()

    async def ended(self, reason: str) -> None:
        """Nothing of its own."""


__all__ = ["Missed", "SecondLeg"]
