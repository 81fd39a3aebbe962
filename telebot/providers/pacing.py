"""Vendors' rate limits, kept by waiting a little here instead of being refused there.

One `Pace` for each vendor or model that has limits in the settings, shared by all calls of the
process. Work beyond a limit waits in a bounded queue: live calls first, then in turns between those
who ask. Who cannot be served in the time it has is turned away, as early as that is known, and its
chain goes on with the next link. On a clock that is handed in; belongs to the event loop.
"""

from __future__ import annotations

import asyncio
import bisect
import itertools
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from telebot.call.errors import ProviderBusy
from telebot.settings import VendorLimits

Clock = Callable[[], float]
PERIOD_S = 60.0  # what "a minute" means: never more than the limit in any stretch of this length
SLACK_S = 1e-6  # a timer may fire this much early
MOST_WAITING = 256  # of one vendor; more could not be served in time


class Priority(IntEnum):
    """Who goes first."""

    LIVE = 0  # a caller waits for it
    OTHER = 1  # probes, and whatever nobody waits for


class TurnedAway(ProviderBusy):
    """The limit leaves no place in the time there is."""


class Slot:
    """The right to one request, or stream, until `release`."""

    __slots__ = ("_pace",)

    def __init__(self, pace: Pace) -> None:
        self._pace: Pace | None = pace

    def release(self) -> None:
        """It is over. Idempotent."""
        pace, self._pace = self._pace, None
        if pace is not None:
            pace.released()


@dataclass(slots=True, order=True)
class _Waiter:
    priority: int
    start: float  # each of those who ask gets a turn (self-clocked fair queueing)
    number: int
    characters: int = field(compare=False)
    granted: asyncio.Future[Slot] = field(compare=False)


class Pace:
    """The limits of one vendor or model. A request counts when it is let through, its characters
    with it; one of more characters than the limit is let through alone."""

    def __init__(
        self, name: str, limits: VendorLimits, clock: Clock, most_waiting: int = MOST_WAITING
    ) -> None:
        self.name = name
        self._most_waiting = most_waiting
        self._limits = limits
        self._clock = clock
        self._recent: deque[tuple[float, int]] = deque()  # when, characters: of the last minute
        self._characters = 0  # of them
        self._waiting: list[_Waiter] = []  # by their order
        self._numbers = itertools.count()
        self._virtual = 0.0  # where newcomers begin: behind the last waiter served
        self._finish: dict[Hashable, float] = {}  # by who asks
        self._timer: asyncio.TimerHandle | None = None
        self.running = 0
        self.paced = 0  # let through after a wait
        self.waited_s = 0.0  # by them
        self.turned_away = 0

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def waiting_of(self, priority: int) -> int:
        return sum(waiter.priority == priority for waiter in self._waiting)

    async def slot(
        self, who: Hashable, wait_s: float, characters: int = 0, priority: int = Priority.LIVE
    ) -> Slot:
        """A place for one request, after at most `wait_s`. `who` asks: those who ask for much do
        not hold up the others. Raises `TurnedAway`; a cancelled wait leaves nothing behind."""
        now = self._clock()
        if not self._waiting and self._fits(characters, now):
            return self._grant(characters, now)
        waiter = self._line_up(who, characters, priority, wait_s)
        try:
            async with asyncio.timeout(max(0.0, wait_s)):
                slot = await waiter.granted
        except TimeoutError:
            self._leave(waiter)
            raise self._no_place() from None
        except asyncio.CancelledError:
            self._leave(waiter)
            raise
        self.paced += 1
        self.waited_s += self._clock() - now
        return slot

    def slot_now(self, characters: int = 0) -> Slot | None:
        """A place where there is one and nobody waits for it, else None."""
        now = self._clock()
        if self._waiting or not self._fits(characters, now):
            return None
        return self._grant(characters, now)

    def released(self) -> None:
        self.running -= 1
        self._serve()

    # the queue

    def _line_up(self, who: Hashable, characters: int, priority: int, wait_s: float) -> _Waiter:
        start = max(self._virtual, self._finish.get(who, 0.0))
        granted = asyncio.get_running_loop().create_future()
        waiter = _Waiter(priority, start, next(self._numbers), characters, granted)
        ahead = bisect.bisect(self._waiting, waiter)
        if self._least_wait_s(ahead, characters) > wait_s:
            raise self._no_place()
        if len(self._waiting) >= self._most_waiting:
            last = self._waiting[-1]
            if last < waiter:
                raise self._no_place()
            self._waiting.pop()
            last.granted.set_exception(self._no_place())
        self._finish[who] = start + 1.0
        self._waiting.insert(ahead, waiter)
        self._serve()
        return waiter

    def _leave(self, waiter: _Waiter) -> None:
        """It waits no more. What it was granted in this very moment is given back."""
        if waiter in self._waiting:
            self._waiting.remove(waiter)
            waiter.granted.cancel()
        elif waiter.granted.done() and not waiter.granted.cancelled():
            if waiter.granted.exception() is None:
                waiter.granted.result().release()
            return
        self._serve()

    def _serve(self) -> None:
        """Let through whom the limits allow, in their order."""
        now = self._clock()
        while self._waiting and self._fits(self._waiting[0].characters, now):
            waiter = self._waiting.pop(0)
            self._virtual = max(self._virtual, waiter.start + 1.0)
            waiter.granted.set_result(self._grant(waiter.characters, now))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._waiting:
            self._virtual = 0.0
            self._finish.clear()
        elif self._free():
            delay_s = self._least_wait_s(0, self._waiting[0].characters)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._serve)

    def _no_place(self) -> TurnedAway:
        self.turned_away += 1
        return TurnedAway(f"{self.name}: its limit leaves no place in time")

    # the limits

    def _grant(self, characters: int, now: float) -> Slot:
        self.running += 1
        if self._limits.requests_per_minute or self._limits.characters_per_minute:
            self._recent.append((now, characters))
            self._characters += characters
        return Slot(self)

    def _free(self) -> bool:
        most = self._limits.concurrent
        return most is None or self.running < most

    def _fits(self, characters: int, now: float) -> bool:
        while self._recent and self._recent[0][0] + PERIOD_S - SLACK_S <= now:
            self._characters -= self._recent.popleft()[1]
        return self._free() and not self._over(0, characters)

    def _over(self, more: int, characters: int) -> int:
        """How many of the last minute's requests must have aged before another one of so many
        `characters` fits, with `more` before it."""
        limits, by_requests, by_characters = self._limits, 0, 0
        if limits.requests_per_minute:
            by_requests = max(0, len(self._recent) + more + 1 - limits.requests_per_minute)
        if limits.characters_per_minute:
            left = self._characters + min(characters, limits.characters_per_minute)
            for _, used in self._recent:
                if left <= limits.characters_per_minute:
                    break
                left -= used
                by_characters += 1
        return max(by_requests, by_characters)

    def _least_wait_s(self, ahead: int, characters: int) -> float:
        """It takes at least so long until a request behind `ahead` others fits; how long the ones
        that are running will take is not known."""
        over = self._over(ahead, characters)
        if not over:
            return 0.0
        if over > len(self._recent):
            return PERIOD_S
        return max(0.0, self._recent[over - 1][0] + PERIOD_S - self._clock())


class Pacing:
    """The paces of the process, made when a link is first built. `limits` are by provider
    (``deepgram``), or provider and model as in the record (``deepgram/nova-3``), which goes
    first."""

    def __init__(self, limits: Mapping[str, VendorLimits], clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._paces: dict[tuple[str, int], Pace] = {}

    def of(self, name: str, account: str = "") -> Pace | None:
        """The pace of a link, None where it has no limits. `account` is the key in use, of which
        nothing is kept but a hash: vendors count by it."""
        limited = name if name in self._limits else name.partition("/")[0]
        limits = self._limits.get(limited)
        if limits is None or limits == VendorLimits():
            return None
        key = (limited, hash(account))
        if key not in self._paces:
            self._paces[key] = Pace(limited, limits, self._clock)
        return self._paces[key]

    def __iter__(self) -> Iterator[Pace]:
        return iter(list(self._paces.values()))
