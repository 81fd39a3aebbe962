"""Warm transfers by webhooks: the person's leg asks us what to do, hears what it is about, and goes
into a room; once it has heard everything, the caller's leg is sent after it.

For carriers that ask a webhook at every step (`MeetsInRooms`), which is `/fallback?room=NAME` with
the step in `step`. What a leg does in the carrier's own language the carrier says. The webhooks and
the transfer meet in this process.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from secrets import token_hex
from urllib.parse import urlencode

import structlog

from telebot.call.errors import CarrierError, NotReached, Unable
from telebot.call.model import Call
from telebot.call.ports import Way
from telebot.carriers.port import Answer

TOLD_WITHIN_S = 30.0  # for the summary; it takes 20 s at most
MOST = 256  # rooms that are remembered; the oldest is forgotten
HUNG_UP = "hung_up"  # they had answered, and did not wait for the caller
REASONS = frozenset({"busy", "no_answer", "declined", "unreachable"})

log = structlog.get_logger(__name__)


class Room:
    """Where a person and a caller meet, and how far the person has come. `leg` is the carrier's id
    of the person's leg, as soon as somebody has said it."""

    def __init__(self, summary: str) -> None:
        self.name = f"telebot{token_hex(16)}"
        self.summary = summary
        self.leg = ""
        self._answered = self._told = False
        self._over = ""
        self._changed = asyncio.Event()

    def answered(self, leg: str) -> None:
        """The person has picked up."""
        self._answered, self.leg = True, leg or self.leg
        self._changed.set()

    def told(self) -> None:
        """The person has heard everything."""
        self._told = True
        self._changed.set()

    def ended(self, reason: str) -> None:
        """The person's leg is over."""
        self._over = reason if reason in REASONS else HUNG_UP if self._answered else "no_answer"
        self._changed.set()

    async def meet(self, within_s: float, answered: Callable[[], None]) -> None:
        """Wait until the person has heard everything. Raises `NotReached`."""
        try:
            async with asyncio.timeout(within_s):
                await self._until(lambda: self._answered)
        except TimeoutError:
            raise NotReached("no_answer") from None
        answered()
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                await self._until(lambda: self._told)
        except TimeoutError:
            raise NotReached(HUNG_UP, "the person was never told") from None

    async def _until(self, true: Callable[[], bool]) -> None:
        while not true():
            if self._over:
                raise NotReached(self._over)
            self._changed.clear()
            await self._changed.wait()


class MeetsInRooms(ABC):
    """What a carrier is that `TransfersWarm` in this way. `base` is the URL of its webhooks, as the
    carrier reaches them; '' until that is known."""

    base = ""

    def __init__(self) -> None:
        self._rooms: OrderedDict[str, Room] = OrderedDict()
        self._letting_go: set[asyncio.Task[None]] = set()

    # what a carrier says in its own language

    @abstractmethod
    async def ring(self, call: Call, to: str, room: Room, within_s: float) -> str:
        """Ring `to` up from our number; the leg asks `self.room_url(room)` once it is answered and
        tells `self.room_url(room, "status")` how it fares. Returns its id, "" where only its
        webhooks will tell. Raises `CarrierError`."""

    @abstractmethod
    async def bring(self, call: Call, room: Room) -> None:
        """Send the caller's leg into the room. Raises `CarrierError`."""

    @abstractmethod
    async def let_go(self, leg: str) -> None:
        """End the person's leg, whether it rings or was answered. Raises `CarrierError`."""

    @abstractmethod
    def telling(self, room: Room) -> Answer:
        """Say the summary, then ask `self.room_url(room, "told")`."""

    @abstractmethod
    def inside(self, room: Room) -> Answer:
        """Wait in the room, which ends with whoever leaves it first."""

    @abstractmethod
    def noted(self) -> Answer:
        """Nothing is to be done."""

    @abstractmethod
    def apology(self, reason: str) -> Answer:
        """As in `AnswersWebhooks`."""

    # what all of them do

    async def transfer_warm(
        self, call: Call, to: str, summary: str, within_s: float, answered: Callable[[], None]
    ) -> None:
        """As in `call/ports.py:TransfersWarm`."""
        if not self.base:
            raise Unable("the carrier has asked no webhook of this server yet")
        room = Room(summary)
        self._rooms[room.name] = room
        if len(self._rooms) > MOST:
            self._rooms.popitem(last=False)
        ringing = asyncio.create_task(self.ring(call, to, room, within_s))
        with ExitStack() as undo:  # also where the caller hangs up
            undo.callback(self._let_go, room, ringing)
            room.leg = await asyncio.shield(ringing) or room.leg
            await room.meet(within_s, answered)
            await self.bring(call, room)
            undo.pop_all()

    def way_to(self, room: Room, within_s: float) -> Way:
        """How the person's leg is rung up."""
        url = self.room_url(room)
        return Way(url, url, self.room_url(room, "status"), "", "", within_s)

    def room_url(self, room: Room, step: str = "") -> str:
        """The webhook of a step."""
        query = {"room": room.name, **({"step": step} if step else {})}
        return f"{self.base}/fallback?{urlencode(query)}"

    def asked(
        self, query: Mapping[str, str], leg: str, *, ended: bool, reason: str
    ) -> Answer | None:
        """What a webhook is answered whose query names a room; None where it names none."""
        name, step = query.get("room", ""), query.get("step", "")
        if not name:
            return None
        room = self._rooms.get(name)
        if step == "status":
            if room is not None and ended:
                room.ended(reason)
            elif room is not None:
                room.leg = room.leg or leg
            return self.noted()
        if room is None:
            return self.apology("bot_hangup")  # the caller has gone meanwhile
        if step == "told":
            room.told()
        if step in ("told", "join"):
            return self.inside(room)
        room.answered(leg)
        return self.telling(room)

    async def finish(self) -> None:
        """Wait until nobody rings any more."""
        await asyncio.gather(*self._letting_go, return_exceptions=True)

    def _let_go(self, room: Room, ringing: asyncio.Task[str]) -> None:
        """Nobody meets there any more."""
        self._rooms.pop(room.name, None)
        task = asyncio.create_task(self._give_up(room, ringing))
        self._letting_go.add(task)
        task.add_done_callback(self._letting_go.discard)

    async def _give_up(self, room: Room, ringing: asyncio.Task[str]) -> None:
        """Nobody rings any more, or waits in a room where nobody will come."""
        try:
            leg = await ringing
        except CarrierError:
            leg = ""  # which is the transfer's own fault, and told there
        try:
            if leg := leg or room.leg:
                await self.let_go(leg)
        except CarrierError as error:
            log.warning("person_not_let_go", error=str(error))
