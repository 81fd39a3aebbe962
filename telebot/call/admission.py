"""Who may talk to us: from an offer to a call, or to a refusal that the caller hears.

Owns the calls of this process from the offer to their end: the slots, the drain, the calls whose
stream has not come yet, and their one-time tokens. No I/O; time, ids and nonces are handed in.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from telebot.call.ending import Endings
from telebot.call.errors import BadToken, Refused
from telebot.call.model import Call, CallOffer
from telebot.call.ports import CallLog, Clock, WallClock
from telebot.call.tokens import StreamTokens

ANY_NUMBER = "*"
REMEMBERED = 4096  # calls that are over, by the carrier's id: offered again they are no new calls


@dataclass(slots=True)
class _Awaited:
    """A call whose media stream has not come `until` then, which ends it for `reason`."""

    call: Call
    nonce: str
    until: float
    reason: str = "no_media"


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
    _kept: set[str] = field(default_factory=set)
    _endings: Endings = field(init=False)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._endings = Endings(self.log, self.wall_clock, self._free)
        self._empty.set()

    def admit(self, offer: CallOffer, placed: str = "") -> tuple[Call, str]:
        """The call and its stream token. `placed`: the offer is that call, which we made, answered.
        A webhook delivered again gets the same call and a new token, as long as no stream has
        come. Raises `Refused`; the refusal is on record, except where the call is up already
        (``duplicate``), has ended (the reason it ended for) or is none of ours
        (``unknown_call``)."""
        key = (offer.carrier, offer.carrier_call_id)
        if placed and key not in self._over:
            self._recognise(placed, offer)
        if key in self._over:
            raise Refused(self._over[key])  # its one record is closed
        known = self._by_carrier.get(key)
        if known is not None and known in self._awaited:
            return self.live[known], self._token(self.live[known])
        if known is not None:
            raise Refused("duplicate")  # its one record is open already
        call = Call(self.new_id(), offer, self._agent(offer) or "", self.wall_clock())
        self._open(call)
        self._by_carrier[key] = call.id
        return call, self._token(call)

    def place(
        self, offer: CallOffer, within_s: float, metadata: Mapping[str, str] | None = None
    ) -> tuple[Call, str]:
        """A call that we make, on record at once, and the token of its stream; the number that it
        is made from picks the agent where the offer names none. It may ring for `within_s`. Raises
        `Refused`, which is on record."""
        agent = self._agent(offer) or ""
        call = Call(self.new_id(), offer, agent, self.wall_clock(), metadata=metadata or {})
        self._open(call)
        nonce = self.new_id()
        self._awaited[call.id] = _Awaited(call, nonce, self.clock() + within_s, "no_answer")
        return call, self.tokens.issue(call.id, offer.carrier, nonce, within_s)

    def dialled(self, call: Call, carrier_call_id: str) -> None:
        """The carrier has named a call that we make. Whoever is first (the answer to our request,
        a webhook, the stream) is believed."""
        offer = call.offer
        if offer.carrier_call_id or not carrier_call_id:
            return
        call.offer = replace(offer, carrier_call_id=carrier_call_id)
        if call.termination is None:
            self._by_carrier[offer.carrier, carrier_call_id] = call.id
        else:
            self._remember(call)
        self.log.dialled(call)

    def connect(self, token: str, carrier: str, carrier_call_id: str) -> Call:
        """The call a media stream belongs to; the token is spent. Raises `BadToken`."""
        call_id, nonce = self.tokens.read(token, carrier)
        awaited = self._awaited.get(call_id)
        if awaited is None or awaited.nonce != nonce:
            raise BadToken("used")
        if awaited.call.offer.outbound:  # its token was with nobody else
            self._named(awaited.call, carrier_call_id)
        if awaited.call.offer.carrier_call_id != carrier_call_id:
            raise BadToken("another call's")
        del self._awaited[call_id]
        awaited.call.answered_at = self.wall_clock()
        self.log.answered(awaited.call)
        return awaited.call

    def end(self, call: Call, reason: str) -> bool:
        """End a call; the first reason stands. True where this ended it. A call that is kept does
        not end."""
        return call.id not in self._kept and self._endings.end(call, reason)

    def keep(self, call: Call) -> None:
        """The call goes on without the bot (its caller talks with a person over us): it keeps its
        place, and ends when it is released."""
        self._kept.add(call.id)

    def release(self, call: Call) -> None:
        """It may end now."""
        self._kept.discard(call.id)

    def find(self, carrier: str, carrier_call_id: str, placed: str = "") -> Call | None:
        """A live call by the carrier's own id, or by ours (`placed`) where we made it."""
        call = self.live.get(placed)
        if call is not None and call.offer.outbound and call.offer.carrier == carrier:
            self.dialled(call, carrier_call_id)
            return call
        call_id = self._by_carrier.get((carrier, carrier_call_id))
        return self.live.get(call_id) if call_id else None

    def expire(self) -> list[Call]:
        """End the calls whose stream never came, and those that nobody answered; returns them. To
        be called every second."""
        now = self.clock()
        late = [awaited for awaited in self._awaited.values() if awaited.until <= now]
        for awaited in late:
            self.end(awaited.call, awaited.reason)
        return [awaited.call for awaited in late]

    def unanswered(self) -> list[Call]:
        """The calls of ours that nobody has taken yet."""
        return [one.call for one in self._awaited.values() if one.call.offer.outbound]

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

    def _open(self, call: Call) -> None:
        """Put a new call on record. Raises `Refused`."""
        reason = self._refusal(call)
        self.log.opened(call)
        self.live[call.id] = call
        if reason:
            self.refused += 1
            self._endings.end(call, reason)
            raise Refused(reason)
        self._empty.clear()

    def _recognise(self, placed: str, offer: CallOffer) -> None:
        """An offer that is a call of ours, answered: its id is what the carrier says now (a request
        to dial may be named otherwise). Raises `Refused`."""
        call = self.live.get(placed)
        if call is None or not call.offer.outbound or call.offer.carrier != offer.carrier:
            raise Refused("unknown_call")
        if call.id in self._awaited:
            self._named(call, offer.carrier_call_id)

    def _named(self, call: Call, carrier_call_id: str) -> None:
        """What the carrier calls a call of ours now, whatever it said before."""
        offer = call.offer
        if carrier_call_id and offer.carrier_call_id != carrier_call_id:
            self._by_carrier.pop((offer.carrier, offer.carrier_call_id), None)
            call.offer = replace(offer, carrier_call_id="")
            self.dialled(call, carrier_call_id)

    def _agent(self, offer: CallOffer) -> str | None:
        if offer.agent is not None:
            return offer.agent if offer.agent in self.agents else None
        return self.numbers.get(offer.phone_ours) or self.numbers.get(ANY_NUMBER)

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
        self._remember(call)
        if not self.live:
            self._empty.set()

    def _remember(self, call: Call) -> None:
        """The carrier may ask for it again."""
        offer = call.offer
        if call.termination is not None and offer.carrier_call_id:
            self._over[offer.carrier, offer.carrier_call_id] = call.termination.reason
            if len(self._over) > REMEMBERED:
                self._over.popitem(last=False)
