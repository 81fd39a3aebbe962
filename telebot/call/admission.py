"""Who may talk to us: from an offer to a call, or to a refusal that the caller hears.

Owns the calls of this process from the offer to their end: the slots, the drain, the calls whose
stream has not come yet, and their one-time tokens. No I/O; time, ids and nonces are handed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from telebot.call.ending import Endings
from telebot.call.errors import BadToken, Refused
from telebot.call.model import Call, CallOffer
from telebot.call.ports import CallLog, Clock, WallClock
from telebot.call.tokens import StreamTokens

ANY_NUMBER = "*"
REMEMBERED = 4096  # calls that are over, by the carrier's id: offered again they are no new calls


@dataclass(slots=True)
class _Awaited:
    """A call whose media stream has not come yet."""

    call: Call
    nonce: str
    until: float


@dataclass(slots=True)
class Admission:
    """Admits calls up to `max_calls` and ends each exactly once.

    `numbers` maps the number called to an agent's name, ``*`` any other; `agents` are the names
    that exist (an offer may name one)."""

    log: CallLog
    tokens: StreamTokens
    numbers: Mapping[str, str]
    agents: frozenset[str]
    max_calls: int
    clock: Clock
    wall_clock: WallClock
    new_id: Callable[[], str]
    draining: bool = False
    live: dict[str, Call] = field(default_factory=dict)
    refused: int = 0
    _awaited: dict[str, _Awaited] = field(default_factory=dict)
    _by_carrier: dict[tuple[str, str], str] = field(default_factory=dict)
    _over: OrderedDict[tuple[str, str], str] = field(default_factory=OrderedDict)
    _endings: Endings = field(init=False)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._endings = Endings(self.log, self.wall_clock, self._free)
        self._empty.set()

    def admit(self, offer: CallOffer) -> tuple[Call, str]:
        """The call and its stream token. A webhook delivered again gets the same call and a new
        token, as long as no stream has come. Raises `Refused`; the refusal is on record, except
        where the call is up already (``duplicate``) or has ended (the reason it ended for)."""
        key = (offer.carrier, offer.carrier_call_id)
        if key in self._over:
            raise Refused(self._over[key])  # its one record is closed
        known = self._by_carrier.get(key)
        if known is not None and known in self._awaited:
            return self.live[known], self._token(self.live[known])
        if known is not None:
            raise Refused("duplicate")  # its one record is open already
        call = Call(self.new_id(), offer, self._agent(offer) or "", self.wall_clock())
        reason = self._refusal(call)
        self.log.opened(call)
        if reason:
            self.refused += 1
            self.live[call.id] = call
            self._endings.end(call, reason)
            raise Refused(reason)
        self.live[call.id] = call
        self._by_carrier[key] = call.id
        self._empty.clear()
        return call, self._token(call)

    def connect(self, token: str, carrier: str, carrier_call_id: str) -> Call:
        """The call a media stream belongs to; the token is spent. Raises `BadToken`."""
        call_id, nonce = self.tokens.read(token, carrier)
        awaited = self._awaited.get(call_id)
        if awaited is None or awaited.nonce != nonce:
            raise BadToken("used")
        if awaited.call.offer.carrier_call_id != carrier_call_id:
            raise BadToken("another call's")
        del self._awaited[call_id]
        awaited.call.answered_at = self.wall_clock()
        self.log.answered(awaited.call)
        return awaited.call

    def end(self, call: Call, reason: str) -> bool:
        """End a call; the first reason stands. True where this ended it."""
        return self._endings.end(call, reason)

    def find(self, carrier: str, carrier_call_id: str) -> Call | None:
        """A live call by the carrier's own id."""
        call_id = self._by_carrier.get((carrier, carrier_call_id))
        return self.live.get(call_id) if call_id else None

    def expire(self) -> int:
        """End the calls whose stream never came; returns how many. To be called every second."""
        late = [awaited.call for awaited in self._awaited.values() if awaited.until <= self.clock()]
        for call in late:
            self.end(call, "no_media")
        return len(late)

    def ringing(self, call: Call) -> bool:
        """True while the call's media stream is still awaited."""
        return call.id in self._awaited

    async def drained(self, timeout_s: float) -> bool:
        """Take no more calls; wait for the live ones. False where some are still up."""
        self.draining = True
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def _agent(self, offer: CallOffer) -> str | None:
        if offer.agent is not None:
            return offer.agent if offer.agent in self.agents else None
        return self.numbers.get(offer.phone_to) or self.numbers.get(ANY_NUMBER)

    def _refusal(self, call: Call) -> str | None:
        if self.draining:
            return "draining"
        if not call.agent:
            return "unknown_number"
        return "capacity" if len(self.live) >= self.max_calls else None

    def _token(self, call: Call) -> str:
        nonce = self.new_id()
        self._awaited[call.id] = _Awaited(call, nonce, self.clock() + self.tokens.life_s)
        return self.tokens.issue(call.id, call.offer.carrier, nonce)

    def _free(self, call: Call) -> None:
        self.live.pop(call.id, None)
        self._awaited.pop(call.id, None)
        key = (call.offer.carrier, call.offer.carrier_call_id)
        if self._by_carrier.get(key) == call.id:
            del self._by_carrier[key]
        if call.termination is not None:
            self._over[key] = call.termination.reason
            if len(self._over) > REMEMBERED:
                self._over.popitem(last=False)
        if not self.live:
            self._empty.set()
