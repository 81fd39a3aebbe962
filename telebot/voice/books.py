"""The bookkeeping of voice work: what a piece of it costs, and its way into the records.

Whatever becomes of a piece of work, its `Entry` is written down: done, failed, or given up because
who asked has gone, which costs all the same. Next: `done.py`; the ledger is `programs.py`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from telebot.call.errors import ApiError
from telebot.call.ports import Clock, WallClock
from telebot.providers.clips import Use
from telebot.providers.resources import Resources
from telebot.voice.attempts import Attempts
from telebot.voice.done import HIT, Done, new_id
from telebot.voice.offers import Offer, Work
from telebot.voice.pricing import FREE, Cost, cost_of

CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Books:
    """One server's. `ledger` is told of every piece of work."""

    resources: Resources  # whose catalogue has the prices
    currency: str
    clock: Clock
    now: WallClock
    ledger: Callable[[Done], None] = lambda done: None

    def cost(self, offer: Offer, uses: tuple[Use, ...]) -> Cost:
        """What its vendor bills for it."""
        return cost_of(self.resources.catalogue, offer.work, offer.name, uses, self.currency)

    def entry(self, work: Work, attempts: Attempts) -> Entry:
        """A piece of work for the owner of an API key begins."""
        return Entry(self, work, attempts, self.clock())


@dataclass(slots=True)
class Entry:
    """One piece of work on its way. `cache` says whether what was kept was looked for, and found
    (``hit``, ``miss``). Times are `Books.clock`'s."""

    books: Books
    work: Work
    attempts: Attempts
    began: float
    first_at: float | None = None
    cache: str = ""
    id: str = field(default_factory=new_id)

    def first(self) -> None:
        """Something of it has come."""
        self.first_at = self.first_at or self.books.clock()

    def another(self) -> Entry:
        """The same work, as far as somebody else has done it."""
        return replace(self, id=new_id())

    def done(self, offer: Offer, uses: tuple[Use, ...]) -> Done:
        """Write it down. Of what was kept `uses` are what it would have taken; nothing is paid for
        it."""
        return self._written(offer, uses)

    def failed(self, code: str, offer: Offer | None = None, uses: tuple[Use, ...] = ()) -> Done:
        """Write down that it came to nothing; what it took until then (`uses`) is paid."""
        return self._written(offer, uses, code)

    def cancelled(self, offer: Offer | None, uses: tuple[Use, ...]) -> Done:
        """Who asked has gone; it costs all the same."""
        return self._written(offer, uses, CANCELLED)

    @contextmanager
    def while_asked(
        self, uses: Callable[[Offer], tuple[Use, ...]] = lambda offer: ()
    ) -> Iterator[None]:
        """Providers are asked: it is written down where none of them can (`ApiError`), or nobody
        waits for it any more; `uses` is what was asked of the last one."""
        try:
            yield
        except ApiError as error:
            self.failed(error.code)
            raise
        except (asyncio.CancelledError, ConnectionError):
            asking = self.attempts.asking
            self.cancelled(asking, uses(asking) if asking else ())
            raise

    def _written(self, offer: Offer | None, uses: tuple[Use, ...], error: str = "") -> Done:
        books, attempts = self.books, self.attempts
        cache = "" if error else self.cache
        cost = books.cost(offer, uses) if offer else Cost(None, books.currency, False)
        saved = None
        if cache == HIT:
            saved, cost, uses = cost, Cost(FREE, books.currency, True), ()
        done = Done(
            id=self.id,
            at=books.now(),
            key_id=attempts.who,
            work=self.work,
            provider=offer.name if offer else "",
            own_key=offer.own_key if offer else False,
            uses=uses,
            cost=cost,
            ms=(books.clock() - self.began) * 1000,
            first_ms=None if self.first_at is None else (self.first_at - self.began) * 1000,
            attempts=tuple(attempts.made),
            skipped=attempts.skipped,
            error=error,
            user=attempts.under.user,
            variant=attempts.under.variant,
            agent=attempts.under.agent,
            cache=cache,
            saved=saved,
        )
        books.ledger(done)
        return done
