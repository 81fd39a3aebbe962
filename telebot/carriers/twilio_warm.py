"""A warm transfer over Twilio's REST: the person's leg says what it is about and goes into a
conference room; once it is there, the caller's leg is sent after it.

Conference: https://www.twilio.com/docs/voice/twiml/conference . A room is there (``init``) from its
first participant on (https://www.twilio.com/docs/voice/conference#lifecycle-of-a-conference), which
is how we know that the person has heard everything. Nothing here needs a webhook.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from twilio.twiml.voice_response import VoiceResponse

from telebot.call.errors import NotReached
from telebot.call.model import Call
from telebot.carriers.twilio_rest import TwilioRest
from telebot.carriers.twiml import ENDED_STATUSES, REASONS

POLL_S = 1.0
TOLD_WITHIN_S = 30.0  # for the summary; it takes 20 s at most
HUNG_UP = "hung_up"  # they had answered, and did not wait for the caller
SILENT_WAIT = ""  # no music of Twilio's in the second until both are there


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


def person_fields(room: Room, summary: str, within_s: float) -> dict[str, Any]:
    """How the person's leg is made (`TwilioRest.create`)."""
    return {"twiml": room.twiml(summary), "timeout": math.ceil(within_s)}


@dataclass(frozen=True, slots=True)
class PersonLeg:
    """The leg of the person, by its sid, who is to come into `room`."""

    rest: TwilioRest
    sid: str
    room: Room

    async def join(self, call: Call, within_s: float, answered: Callable[[], None]) -> None:
        """Wait for the person, then send the caller after them. Raises `NotReached` and
        `CarrierError`."""
        try:
            async with asyncio.timeout(within_s):
                await self._until(self._up)
        except TimeoutError:
            raise NotReached("no_answer") from None
        answered()
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                await self._until(self._inside)
        except TimeoutError:
            raise NotReached(HUNG_UP, "the person never came into the room") from None
        await self.rest.redirect(call.offer.carrier_call_id, self.room.twiml())

    async def _until(self, true: Callable[[], Awaitable[bool]]) -> None:
        while True:
            if await true():
                return
            await asyncio.sleep(POLL_S)

    async def _up(self) -> bool:
        """Whether the person has answered. Raises `NotReached` where the leg is over."""
        status = await self.rest.status(self.sid)
        if status in ENDED_STATUSES:
            reason = REASONS.get(status, HUNG_UP)
            raise NotReached("no_answer" if reason == "cancelled" else reason)
        return status == "in-progress"

    async def _inside(self) -> bool:
        """Whether the person has heard everything and waits in the room."""
        return await self._up() and await self.rest.has_conference(self.room.name)
