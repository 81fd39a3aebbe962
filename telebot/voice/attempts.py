"""One after the other is asked until one has done it; what each of them did is told.

Every attempt begins from the request as it came. Breakers and paces are those of the calls, which
go before this work in the queue. Next: `transcribing.py`, `speaking.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

import structlog

from telebot.call.errors import ApiError
from telebot.providers.clips import ClipFailed, lost
from telebot.providers.failure import Cause, Failure
from telebot.providers.pacing import Pacing, Priority, Slot, TurnedAway
from telebot.voice.offers import Offer
from telebot.voice.routing import LineUp, Router, Skipped
from telebot.voice.tailoring import PLAINLY, Under
from telebot.voice.threads import Threads

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)

PACE_S = 5.0  # for a place in a vendor's queue, before the next one is asked
# may be the request's fault as well as the vendor's: nothing to hear, nothing to say
DOUBTFUL = frozenset({Cause.EMPTY, Cause.SILENT, Cause.SHORT})
# the request itself is at fault, as every vendor would say
OURS_TO_ANSWER = {Cause.BAD_REQUEST: (400, "provider_refused"), Cause.REFUSED: (502, "no_access")}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One provider that was asked. `cause` is None where it did it."""

    provider: str
    cause: str | None
    message: str
    ms: float
    own_key: bool

    def told(self) -> dict[str, Any]:
        """For who asked."""
        return {
            "provider": self.provider,
            "cause": self.cause,
            "message": self.message,
            "ms": round(self.ms, 1),
            "is_byok": self.own_key,
        }


@dataclass(slots=True)
class Attempts:
    """The attempts of one request, and how they are made."""

    router: Router
    pacing: Pacing
    who: str  # makes the request; many of one do not hold up the others
    clock: Callable[[], float] = time.monotonic
    made: list[Attempt] = field(default_factory=list)
    skipped: tuple[Skipped, ...] = ()  # who was not asked at all
    # providers that get options of the request's own: what fails there may be the options' fault
    told_how: frozenset[str] = frozenset()
    asking: Offer | None = None  # the last one that was asked
    under: Under = PLAINLY  # what its user and the flags chose
    threads: Threads | None = None  # for what keeps a processor busy; the loop's own without
    _doubted: list[tuple[Offer, Failure]] = field(default_factory=list)
    _kept: Slot | None = None

    async def first_that_can(
        self,
        offers: Sequence[Offer],
        work: Callable[[Offer], Awaitable[T]],
        characters: int = 0,
        *,
        keep: bool = False,
        seconds: float = 0.0,
    ) -> tuple[Offer, T]:
        """What the first of `offers` that does it gives. `work` raises `ClipFailed` where one does
        not. `seconds` is how much is heard, where that is the work. `keep`: the work goes on, its
        place in the vendor's queue is kept until `let_go`. Raises `ApiError` (429, 502, 503 …)
        where none does."""
        if isinstance(offers, LineUp):
            self.skipped = offers.skipped
        last: ClipFailed | None = None
        for offer in offers:
            began = self.clock()
            try:
                self._kept = await self._slot(offer, characters)
                self.asking = offer
                with ExitStack() as undo:
                    undo.callback(self.let_go)
                    done = await _tried(work, offer)
                    if keep:
                        undo.pop_all()
            except ClipFailed as failed:
                last = failed
                self._failed(offer, failed, began)
                continue
            took_s = self.clock() - began
            breaker = self.router.breaker(offer)
            breaker.succeeded(took_s)
            breaker.worked(seconds, took_s)
            self._settle_doubts()
            self.made.append(Attempt(offer.name, None, "", took_s * 1000, offer.own_key))
            return offer, done
        raise self.given_up(last)

    async def beside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work`, which keeps a processor busy, gives."""
        if self.threads is None:
            return await asyncio.to_thread(work, *args, **kwargs)
        return await self.threads.run(work, *args, **kwargs)

    def let_go(self) -> None:
        """The work that was kept is over. Idempotent."""
        slot, self._kept = self._kept, None
        if slot is not None:
            slot.release()

    def failed_late(self, offer: Offer, failed: ClipFailed) -> None:
        """An offer whose work had begun well has failed after all."""
        self.made = [made for made in self.made if made.cause is not None]
        self._failed(offer, failed, self.clock())

    def given_up(self, last: ClipFailed | None) -> ApiError:
        """The error that tells the request's maker that nobody did it."""
        causes = {made.cause for made in self.made}
        told: dict[str, Any] = {"attempts": [made.told() for made in self.made]}
        if self.skipped:
            told["skipped"] = [one.told() for one in self.skipped]
        tried = ", ".join(f"{made.provider} ({made.cause})" for made in self.made)
        message = f"No provider could do it: {tried}."
        if causes and causes <= {Cause.RATE_LIMIT.value, Cause.PACED.value}:
            return ApiError(
                429, "rate_limited", message, metadata=told, retry_after_s=self._retry_after_s(last)
            )
        if last is not None and len(causes) == 1 and last.failure.cause in OURS_TO_ANSWER:
            status, code = OURS_TO_ANSWER[last.failure.cause]
            return ApiError(status, code, message, metadata=told)
        return ApiError(502, "all_providers_failed", message, metadata=told)

    @staticmethod
    def _retry_after_s(last: ClipFailed | None) -> float:
        asked = None if last is None else last.failure.retry_after_s
        return PACE_S if asked is None else asked

    async def _slot(self, offer: Offer, characters: int) -> Slot | None:
        pace = self.pacing.of(offer.name, offer.account)
        if pace is None:
            return None
        try:
            return await pace.slot(self.who, PACE_S, characters, Priority.OTHER)
        except TurnedAway as error:
            raise lost(Cause.PACED, str(error)) from error

    def _failed(self, offer: Offer, failed: ClipFailed, began: float) -> None:
        cause = failed.failure.cause
        if cause in DOUBTFUL:
            self._doubted.append((offer, failed.failure))
        elif self._tells(offer, cause):
            self.router.breaker(offer).failed(failed.failure)
        took_ms = (self.clock() - began) * 1000
        self.made.append(Attempt(offer.name, cause.value, str(failed), took_ms, offer.own_key))
        log.info("voice_attempt_failed", provider=offer.name, kind=offer.work, cause=cause.value)

    def _tells(self, offer: Offer, cause: Cause) -> bool:
        """Whether a failure says something of the provider. The calls skip one whose breaker is
        open, so no request may open it by what it sends."""
        if offer.provider in self.told_how:
            return cause in (Cause.UNREACHABLE, Cause.RATE_LIMIT)
        return cause not in (Cause.PACED, Cause.BAD_REQUEST)

    def _settle_doubts(self) -> None:
        """Another one could do it: it was not the request's fault."""
        for offer, failure in self._doubted:
            self.router.breaker(offer).failed(failure)
        self._doubted.clear()


async def _tried(work: Callable[[Offer], Awaitable[T]], offer: Offer) -> T:
    with as_failures(offer):
        return await work(offer)


@contextmanager
def as_failures(offer: Offer) -> Iterator[None]:
    """The boundary between a request and one provider's code, which may be an added package's:
    whatever is raised there is a failure of that provider, and another one is asked."""
    try:
        yield
    except (ClipFailed, ApiError):
        raise
    except Exception as error:
        log.exception("voice_provider_failed", provider=offer.name, kind=offer.work)
        raise lost(Cause.ERROR, f"{offer.name}: {type(error).__name__}") from error
