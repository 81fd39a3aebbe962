"""A warm transfer over Twilio's REST: the person's leg says what it is about and goes into a
conference room; once it is there, the caller's leg is sent after it.

Conference: https://www.twilio.com/docs/voice/twiml/conference . A room is there (``init``) from its
first participant on (https://www.twilio.com/docs/voice/conference#lifecycle-of-a-conference), which
is how we know that the person has heard everything. Nothing here needs a webhook.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import structlog
from twilio.twiml.voice_response import VoiceResponse

from telebot.call.errors import CarrierError, NotReached
from telebot.call.model import Call
from telebot.carriers.sentences import APOLOGY
from telebot.carriers.twilio_rest import TwilioRest
from telebot.carriers.twiml import ENDED_STATUSES, REASONS

POLL_S = 1.0
CLOSE_WITHIN_S = 20.0
TOLD_WITHIN_S = 30.0  # for the summary; it takes 20 s at most
HUNG_UP = "hung_up"  # they had answered, and did not wait for the caller
SILENT_WAIT = ""  # no music of Twilio's in the second until both are there

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """Where two legs meet. Either one that leaves ends it."""

    name: str

    @classmethod
    def of(cls, call: Call) -> Room:
        """One for this call alone; nothing of anybody's number or name is in it."""
        return cls(f"telebot-{call.id}-{token_hex(4)}")

    def twiml(self, said: str = "") -> str:
        """What a leg does: hear `said`, then go in."""
        response = VoiceResponse()
        if said:
            response.say(said)
        response.dial().conference(
            self.name,
            beep="false",
            start_conference_on_enter=True,
            end_conference_on_exit=True,
            wait_url=SILENT_WAIT,
        )
        return str(response)


@dataclass(frozen=True, slots=True)
class PersonLeg:
    """The leg of the person, by its sid, who is to come into `room`."""

    rest: TwilioRest
    sid: str
    room: Room

    async def wait(self, within_s: float, answered: Callable[[], None]) -> None:
        """Until the person has heard everything and waits in the room. Raises `NotReached` and
        `CarrierError`."""
        try:
            async with asyncio.timeout(within_s):
                await self._until(self.up)
        except TimeoutError:
            raise NotReached("no_answer") from None
        answered()
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                await self._until(self._inside)
        except TimeoutError:
            raise NotReached(HUNG_UP, "the person never came into the room") from None

    async def up(self) -> bool:
        """Whether the person has answered. Raises `NotReached` where the leg is over."""
        status = await self.rest.status(self.sid)
        if status in ENDED_STATUSES:
            reason = REASONS.get(status, HUNG_UP)
            raise NotReached("no_answer" if reason == "cancelled" else reason)
        return status == "in-progress"

    async def _until(self, true: Callable[[], Awaitable[bool]]) -> None:
        while True:
            if await true():
                return
            await asyncio.sleep(POLL_S)

    async def _inside(self) -> bool:
        return await self.up() and await self.rest.has_conference(self.room.name)


class WarmTransfers:
    """Those of one account. Owns what has to be done after one; give it back with `close`."""

    def __init__(self, rest: TwilioRest) -> None:
        self._rest = rest
        self._behind: set[asyncio.Task[None]] = set()

    async def put(
        self, call: Call, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        """As `call/ports.py:TransfersWarm.transfer_warm`."""
        room, rest = Room.of(call), self._rest
        fields = {"twiml": room.twiml(summary), "timeout": math.ceil(within_s)}
        ringing = asyncio.create_task(rest.create(to, call.offer.phone_ours, fields))
        bringing = None
        with ExitStack() as undo:  # also where the caller hangs up
            undo.callback(lambda: self._later(self._let_go(ringing, bringing)))
            person = PersonLeg(rest, await asyncio.shield(ringing), room)
            await person.wait(within_s, answered)
            caller = call.offer.carrier_call_id
            bringing = asyncio.create_task(rest.redirect(caller, room.twiml()))
            await asyncio.shield(bringing)
            undo.pop_all()
        self._later(self._look_again(caller, person))

    async def close(self) -> None:
        """Wait for what is still to be done, in bounded time."""
        if self._behind:
            await asyncio.wait(self._behind, timeout=CLOSE_WITHIN_S)

    def _later(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._behind.add(task)
        task.add_done_callback(self._behind.discard)

    async def _let_go(
        self, ringing: asyncio.Task[str], bringing: asyncio.Task[None] | None
    ) -> None:
        """Nobody rings any more, or waits in a room where nobody will come."""
        if ringing.done() and ringing.exception() is not None:
            return  # nobody was rung up
        if bringing is not None:
            with suppress(CarrierError):
                await bringing
                return  # the caller came all the same
        try:
            await self._rest.hang_up(await ringing)
        except CarrierError as error:
            log.warning("person_not_let_go", error=str(error))

    async def _look_again(self, caller: str, person: PersonLeg) -> None:
        """A person who left while the caller was coming leaves the caller alone in the room."""
        await asyncio.sleep(POLL_S)
        response = VoiceResponse()
        response.say(APOLOGY)
        response.hangup()
        try:
            await person.up()
        except NotReached:
            with suppress(CarrierError):  # the caller has hung up already
                await self._rest.redirect(caller, str(response))
        except CarrierError as error:
            log.warning("transfer_not_looked_at", error=str(error))
