"""Putting one caller through: blind by the carrier, or warm: a person is rung up first and told
what it is about, while the caller hears music.

`closing.py` asks for it once the announcing sentence was heard, and goes on with what came of it.
The carrier's part are `call/ports.py:Transfers` and `TransfersWarm`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from telebot.call.errors import CarrierError, NotReached, Unable
from telebot.dialog.actions import Transfer

SETTLE_S = 5.0  # how long a stream that is over waits for the carrier's word
TALK_S = 45.0  # past the answer: the summary, and joining both
log = structlog.get_logger()

Answered = Callable[[], None]


class Sound(Protocol):
    """What the caller hears meanwhile."""

    def play(self) -> None: ...

    def stop(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How the carrier of one call puts callers through; None where it cannot. `warm`: to, summary,
    within (s), and what is called once the person has answered. `allowed` knows the numbers."""

    blind: Callable[[str], Awaitable[None]] | None
    warm: Callable[[str, str, float, Answered], Awaitable[None]] | None
    allowed: Callable[[str], bool]
    within_s: float


class Transfers:
    """The transfers of one call, one after another at most."""

    def __init__(
        self,
        ways: Ways,
        music: Sound,
        summary: Callable[[], str],
        note_event: Callable[..., None],
    ) -> None:
        self._ways = ways
        self._music = music
        self._summary = summary
        self._note_event = note_event
        self._task: asyncio.Task[None] | None = None
        self._warm = False
        self._answered = False

    @property
    def possible(self) -> bool:
        """The carrier can put callers through."""
        return self._ways.blind is not None or self._ways.warm is not None

    def allowed(self, number: str) -> bool:
        """Somebody has allowed that callers are put through to `number`."""
        return self._ways.allowed(number)

    @property
    def under_way(self) -> bool:
        return self._task is not None

    @property
    def waiting(self) -> bool:
        """The caller hears music, and is not listened to."""
        return self._task is not None and self._warm

    @property
    def decided(self) -> bool:
        """A person has answered: the caller is as good as gone."""
        return self.waiting and self._answered

    async def put(self, transfer: Transfer) -> bool:
        """Put the caller through. True once the carrier has taken the call over; False where the
        caller stays with us, which is on record."""
        self._warm = transfer.warm and self._ways.warm is not None
        self._note_event("transfer_begun", to=transfer.to, warm=self._warm)
        self._answered = False
        try:
            await self._try(transfer)
        except NotReached as error:
            return self._failed(error.reason, str(error))
        except CarrierError as error:
            return self._failed("carrier_error", str(error))
        except TimeoutError:
            return self._failed("no_answer", "the carrier said nothing in time")
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise  # the call's own task is over
            return self._failed("given_up", "the call ended, or another ending came first")
        return True

    async def _try(self, transfer: Transfer) -> None:
        """Raises `CarrierError`, TimeoutError, and CancelledError where it was given up."""
        if not self._ways.allowed(transfer.to):
            raise NotReached("number_not_allowed", "see transfer.allowed_prefixes")
        if self._warm:
            try:
                await self._run(self._ring_up(transfer.to))
            except Unable:
                if self._ways.blind is None:
                    raise
                self._warm = False
            else:
                return
        if self._ways.blind is None:
            raise NotReached("unable", "this carrier cannot transfer")
        await self._run(self._ways.blind(transfer.to))

    async def _ring_up(self, to: str) -> None:
        warm, within_s = self._ways.warm, self._ways.within_s
        assert warm is not None
        self._music.play()
        async with asyncio.timeout(within_s + TALK_S):
            await warm(to, self._summary(), within_s, self._person_answers)

    def _person_answers(self) -> None:
        self._answered = True
        self._note_event("transfer_answered")

    async def _run(self, work: Awaitable[None]) -> None:
        """Do it in a task of its own, which the end of the call can cancel."""
        self._task = task = asyncio.ensure_future(_done(work))
        try:
            await asyncio.wait({task})
            await task
        finally:
            self._task = None
            self._music.stop()
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def settled(self) -> None:
        """The stream is over. A transfer that has come so far ends it itself: wait for the
        carrier's word. Nobody rings any longer where the caller did."""
        task = self._task
        if task is None:
            return
        if self._warm and not self._answered:
            task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_S):
                await asyncio.wait({task})
        task.cancel()

    def give_up(self) -> None:
        """Something else is to be said to the caller; a person who is ringing rings no more."""
        if self.waiting and self._task is not None and not self._answered:
            self._music.stop()
            self._task.cancel()

    def _failed(self, reason: str, why: str) -> bool:
        log.warning("transfer failed", reason=reason, error=why)
        self._note_event("transfer_failed", reason=reason)
        return False


async def _done(work: Awaitable[None]) -> None:
    await work
