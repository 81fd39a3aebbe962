"""The media of one SIP call: its RTP stream, what was agreed on for it, and who hears the caller.

Belongs to `live.py:LiveCall`. First that is the conversation, later perhaps a person (`bridge.py`).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Protocol

import structlog

from telebot.call.events import Conversations
from telebot.call.model import Call
from telebot.sip.agreement import Agreement
from telebot.sip.bridge import connect
from telebot.sip.rtp import RtpStream
from telebot.sip.second_leg import SecondLeg
from telebot.sip.trunks import KnownTrunk
from telebot.sip.wire import Ears, Wire

OPEN_WITHIN_S = 2.0  # for the RTP ports
END_WITHIN_S = 20.0  # for the conversation to put everything away

log = structlog.get_logger(__name__)


class Notes(Protocol):
    """Writes an event of the call's record."""

    def __call__(self, name: str, **fields: object) -> None: ...


class CallMedia:
    """One call's; `close` is the last call."""

    def __init__(self, stream: RtpStream, trunk: KnownTrunk, note: Notes) -> None:
        self.stream = stream
        self.agreement = Agreement(stream, trunk.settings.codecs)
        self._note = note
        self._held = False  # by the peer
        self._wire: Wire | None = None
        self._sink: Ears | None = None
        self.person: SecondLeg | None = None  # with whom the caller talks instead of the bot
        self._joined_at = 0.0

    @classmethod
    async def open(cls, opening: Awaitable[RtpStream], trunk: KnownTrunk, note: Notes) -> CallMedia:
        """With its ports. Raises `Busy` and TimeoutError."""
        async with asyncio.timeout(OPEN_WITHIN_S):
            return cls(await opening, trunk, note)

    async def begin(
        self, conversations: Conversations, call: Call, hang_up: Callable[[], None]
    ) -> Ears:
        """Have the caller talk with the bot, who may hang up."""
        self._wire = Wire(self.stream, hang_up)
        self._sink = sink = Ears(await conversations.start(call, self._wire))
        self._hold()
        self.stream.begin(sink)
        return sink

    @property
    def begun(self) -> bool:
        """The caller talks, or has talked, with the bot."""
        return self._wire is not None

    def join(self, person: SecondLeg) -> None:
        """Have the caller talk with a person instead, whose leg is closed with this; the bot is not
        heard any more."""
        self.person, self._joined_at = person, time.monotonic()
        if self._wire is not None:
            self._wire.mute()
        connect(self.stream, person.stream)
        self._note("bridged", trunk=person.trunk.name)

    def watch_hold(self) -> None:
        """Something was agreed on: whether it holds the call, or lets it go on."""
        held = self.agreement.held
        if held is not self._held:
            self._held = held
            self._note("hold" if held else "resume")
            self._hold()

    def _hold(self) -> None:
        if self._sink is not None and self._wire is not None:
            self._sink.hold(self._held)
            self._wire.held = self._held

    async def put_bot_away(self, reason: str) -> None:
        """The conversation is over, for a termination reason; in bounded time."""
        sink, self._sink = self._sink, None
        try:
            if sink is not None:
                async with asyncio.timeout(END_WITHIN_S):
                    await sink.ended(reason)
        except Exception:  # the boundary of the call's task
            log.exception("call_not_put_away")

    async def close(self, reason: str) -> None:
        """Put everybody away, and give the ports back; in bounded time."""
        self._note("rtp_stats", **asdict(self.stream.stats()))
        try:
            if self.person is not None:
                seconds = round(time.monotonic() - self._joined_at, 1)
                self._note("bridge_ended", seconds=seconds)
                await self.person.close()
            await self.put_bot_away(reason)
        finally:
            await self.stream.close()
