"""Who listens in a chain of recognisers: the utterance goes to one link after another, each from
its beginning, and between two utterances back to an earlier one that is well again.

`chain_stt.py` makes texts of what they say.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TranscriptionFrame
from pipecat.services.stt_service import STTService

from telebot.call.errors import ProviderError
from telebot.providers.chain import Chain, ChainListener, LinkFailed
from telebot.providers.failure import Cause, Failure
from telebot.providers.link import Link, Port
from telebot.providers.listening import Feed, Utterance
from telebot.providers.pacing import Priority, Slot


class Listeners(Chain):
    """The links of a chain of recognisers, one of which listens. Subclasses say what is done when
    nobody can (`nobody_listens`), and when a deadline passes (`late`)."""

    kind = "stt"

    def __init__(
        self, links: Sequence[Link], listener: ChainListener, clock: Callable[[], float]
    ) -> None:
        super().__init__(links, listener, clock)
        self._utterance = Utterance()
        self._last: deque[Frame] = deque()  # the last utterance that was understood, for probes
        self._feed: Feed | None = None
        self._active: Port | None = None
        self._slot: Slot | None = None  # of its stream, where its vendor limits them
        self._tried: set[str] = set()
        self._switching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def nobody_listens(self) -> None:
        """Every link was tried with this utterance."""
        raise NotImplementedError

    def late(self) -> None:
        """Whoever listens has said nothing in time."""
        raise NotImplementedError

    def _has_other(self, port: Port) -> bool:
        """Somebody else may hear it."""
        others = (p for p in self._ports.usable() if p is not port)
        return any(p.link.name not in self._tried for p in others)

    async def _fail(self, port: Port, failure: Failure) -> None:
        if port is self._active:
            self._drop_feed()
        self._tried.add(port.link.name)
        await self.give_up(port, failure)
        self._switch()

    def _switch(self) -> None:
        """Give the utterance to the next link, from its beginning."""
        self._stop_timer()
        self._drop_feed()
        if self._switching is None or self._switching.done():
            self._switching = self.begin(self._to_next())

    async def _to_next(self) -> None:
        for port in self._ports.usable():
            if port.link.name in self._tried:
                continue
            try:
                await self._take(port, await self._place(port))
                return
            except LinkFailed as failed:
                self._tried.add(port.link.name)
                await self.give_up(port, failed.failure)
        self._tried.clear()
        await self.nobody_listens()

    async def _place(self, port: Port) -> Slot | None:
        """A place for a stream, where its vendor limits them. Raises `LinkFailed`."""
        if port.link.pace is None:
            return None
        spare_s = 0.0 if self._utterance.unanswered else port.link.patience.start_s
        return await self.slot(port, port.link.pace, spare_s=spare_s)

    async def _take(self, port: Port, slot: Slot | None) -> None:
        """Make `port` the one that listens. Raises `LinkFailed`."""
        with ExitStack() as undo:
            if slot is not None:
                undo.callback(slot.release)
            hosted, _ = await self.ready(port)
            self._inboxes.pop(id(port), None)
            if not isinstance(hosted.service, STTService):
                raise ProviderError("no recogniser")
            undo.pop_all()
        self._active, self._slot = port, slot
        self._feed = feed = Feed(hosted, hosted.service)
        self._utterance.finals.clear()
        self._utterance.interim = False
        for frame in self._utterance.frames:
            feed.give(frame)
        self.begin(self._pump(feed, port))
        if self._utterance.stopped and self._utterance.unanswered:
            self._after(port.link.patience.first_s, self.late)

    async def _warm(self) -> None:
        await self._to_next()

    async def _pump(self, feed: Feed, port: Port) -> None:
        try:
            await feed.run()
        except (ProviderError, OSError) as error:
            if port is self._active:
                await self._fail(port, Failure(Cause.ERROR))
            raise ProviderError(type(error).__name__) from error

    def _give(self, frame: Frame, *, hurry: bool = True) -> None:
        if self._feed is not None and not self._feed.give(frame, hurry=hurry):
            port = self._active
            if port is not None:
                self.begin(self._fail(port, Failure(Cause.STALLED)))

    def _drop_feed(self) -> None:
        self._report_use()
        if self._feed is not None:
            self._feed.close()
        if self._slot is not None:
            self._slot.release()
            if self._active is not None:
                self.drop(self._active)  # an open stream counts at its vendor
        self._feed = self._active = self._slot = None

    def _report_use(self) -> None:
        if self._feed is not None and self._active is not None:
            used_s = self._feed.take_seconds()
            if used_s:
                self._listener.link_used(self.kind, self._active.link.name, used_s, "s")

    # back to the one that is wanted most

    def reordered(self) -> None:
        if self._active is not None and not self._utterance.unanswered:
            self._look_for_better()

    def _look_for_better(self) -> None:
        """Between two utterances: go back to an earlier link that is well again, or see whether one
        is."""
        if probed := self._ports.to_probe():
            self.begin(self._probe(probed, list(self._last)))
        elif self._ports.usable()[0] is not self._active:
            self.begin(self._back(self._ports.usable()[0]))

    async def _back(self, port: Port) -> None:
        pace = port.link.pace
        slot = pace.slot_now() if pace is not None else None
        if pace is not None and slot is None:
            return  # no place at its vendor: perhaps after the next utterance
        try:
            await self.ready(port)
            if not self._utterance.unanswered:
                self._drop_feed()
                taken, slot = slot, None
                await self._take(port, taken)
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
        finally:
            if slot is not None:
                slot.release()
                self.drop(port)

    async def _probe(self, port: Port, frames: Sequence[Frame]) -> None:
        """Let a recogniser whose breaker was open hear the last utterance. What it says of it
        after the first words must not count for the next one, so it does not stay connected."""
        try:
            async with self.paced(port, priority=Priority.OTHER):
                if not await self._hears(port, frames):
                    return
        except LinkFailed as failed:
            await self.give_up(port, failed.failure)
            return
        self._look_for_better()

    async def _hears(self, port: Port, frames: Sequence[Frame]) -> bool:
        """Whether it is a recogniser; then it has heard words. Raises `LinkFailed`."""
        hosted, inbox = await self.ready(port)
        if not isinstance(hosted.service, STTService):
            return False
        feed = Feed(hosted, hosted.service)
        for frame in frames:
            feed.give(frame)
        pump = self.begin(feed.run())
        begun = self._clock()
        try:
            while True:
                frame = await inbox.get(2 * port.link.patience.first_s)
                if isinstance(frame, TranscriptionFrame | InterimTranscriptionFrame):
                    break
        except TimeoutError:
            raise LinkFailed(Failure(Cause.SLOW_FIRST)) from None
        finally:
            pump.cancel()
            self._listener.link_used(self.kind, port.link.name, feed.take_seconds(), "s")
        self._inboxes.pop(id(port), None)
        await port.drop()
        port.link.breaker.succeeded(self._clock() - begun)
        return True

    # timers, and what a service may have beside

    def _after(self, delay_s: float, do: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(delay_s, do)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _of_service(self, name: str) -> None:
        port = self._active
        if port is not None and port.hosted is not None:
            do = getattr(port.hosted.service, name, None)
            if do is not None:
                do()

    async def _close(self) -> None:
        self._stop_timer()
        self._drop_feed()
        await super()._close()
