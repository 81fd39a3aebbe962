"""What the three chains have in common: their links' services in one call, and whom they tell.

A chain stands in the pipeline where a single service would. It gives work to its first usable link,
watches it by deadlines, and goes on with the next where that one fails; the pipeline's other parts,
and the caller, notice as little of it as possible. `chain_stt.py`, `chain_llm.py`, `chain_tts.py`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from time import monotonic
from typing import Any, Protocol

import structlog
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    ErrorFrame,
    Frame,
    MetricsFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from telebot.call.errors import ProviderError
from telebot.providers.doorbell import Doorbell
from telebot.providers.failure import Cause, Failure, of_error
from telebot.providers.hosted import Hosted
from telebot.providers.link import Link, Port, Ports, failure_of
from telebot.providers.pacing import Pace, Priority, Slot, TurnedAway

DOWN = FrameDirection.DOWNSTREAM
LAST_S = 1.0  # a caller had rather wait this long than be told that nobody is left
FREE: AbstractAsyncContextManager[None] = nullcontext()
log = structlog.get_logger()


class ChainListener(Protocol):
    """Whom a chain tells how its links fare. All return at once."""

    def link_served(self, kind: str, name: str) -> None:
        """The reply, or the text, that is being made now comes from this link."""
        ...

    def link_failed(self, kind: str, name: str, failure: Failure) -> None:
        """The link was given up for this piece of work; another one goes on."""
        ...

    def link_used(self, kind: str, name: str, quantity: float, unit: str) -> None:
        """Something that a vendor bills: seconds, characters, tokens_in, tokens_out; 0 where its
        work was kept from before."""
        ...

    def chain_exhausted(self, kind: str) -> None:
        """No link could do it."""
        ...


class LinkFailed(ProviderError):
    """A link could not do its work; carries the `Failure`."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.cause.value)
        self.failure = failure


class Inbox:
    """What one link's service pushes, for the piece of work under way."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._bell = Doorbell()
        self._wanted_s = 0.0  # less audio than this does not ring
        self._audio_s = 0.0
        self._put_at = 0.0

    async def put(self, frame: Frame) -> None:
        self._frames.append(frame)
        self._put_at = monotonic()
        if isinstance(frame, TTSAudioRawFrame):
            self._audio_s += frame.num_frames / frame.sample_rate
            if self._audio_s < self._wanted_s:
                return
        self._bell.ring()

    def quiet_s(self) -> float:
        """Since it got something last."""
        return monotonic() - self._put_at if self._put_at else 0.0

    async def gather(self, audio_s: float, timeout_s: float) -> None:
        """Until so much audio lies here, or something else, at the longest for so long."""
        if self._audio_s < audio_s and all(isinstance(f, TTSAudioRawFrame) for f in self._frames):
            self._wanted_s = audio_s
            try:
                await self._bell.wait(timeout_s)
            finally:
                self._wanted_s = 0.0

    async def get(self, timeout_s: float) -> Frame:
        """The next frame, audio that lies behind audio joined. Raises TimeoutError; `LinkFailed`
        for an error of the service."""
        if not self._frames and not await self._bell.wait(timeout_s):
            raise TimeoutError
        frame = self._frames.popleft()
        if isinstance(frame, TTSAudioRawFrame):
            return self._joined(frame)
        if isinstance(frame, ErrorFrame):
            raise LinkFailed(of_error(frame))
        return frame

    def _joined(self, first: TTSAudioRawFrame) -> TTSAudioRawFrame:
        """The audio that comes next, whole."""
        pieces, frames = [first.audio], self._frames
        while frames and isinstance(frames[0], TTSAudioRawFrame) and _alike(frames[0], first):
            pieces.append(frames[0].audio)
            frames.popleft()
        channels, rate_hz = first.num_channels, first.sample_rate
        whole = first
        if len(pieces) > 1:
            whole = TTSAudioRawFrame(b"".join(pieces), rate_hz, channels)
        self._audio_s = max(0.0, self._audio_s - whole.num_frames / rate_hz)
        return whole


def _alike(one: TTSAudioRawFrame, other: TTSAudioRawFrame) -> bool:
    return one.sample_rate == other.sample_rate and one.num_channels == other.num_channels


class Chain(FrameProcessor):
    """The frame processor that holds a chain's links. Subclasses do the work of their kind."""

    kind = ""

    def __init__(
        self, links: Sequence[Link], listener: ChainListener, clock: Callable[[], float]
    ) -> None:
        super().__init__(enable_direct_mode=True)
        self._ports = Ports(links)
        self._listener = listener
        self._clock = clock
        self._inboxes: dict[int, Inbox] = {}  # by port
        self._start_frame: StartFrame | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._dropping: set[asyncio.Task[None]] = set()  # services on their way out

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._start_frame = frame
            await self.push_frame(frame, direction)
            self.begin(self._warm())
        elif isinstance(frame, CancelFrame | EndFrame):
            await self._close()
            await self.push_frame(frame, direction)
        elif direction is not DOWN:
            await self.push_frame(frame, direction)
        else:
            await self.work(frame)

    def save(self, cost: Callable[[str], float]) -> None:
        """From now on the cheaper links go first, by the `cost` of their names; what is being done
        is not disturbed."""
        self._ports.cost = cost
        if self._start_frame is not None:
            self.reordered()

    def reordered(self) -> None:
        """Another link may be the first now."""
        self.begin(self._warm())

    async def work(self, frame: Frame) -> None:
        """A frame that comes down the pipeline, after the start."""
        await self.push_frame(frame)

    async def cleanup(self) -> None:
        await self._close()
        await super().cleanup()  # type: ignore[no-untyped-call]

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` beside the pipeline; it ends with the chain at the latest."""
        task = asyncio.create_task(self._bounded(work), name=f"{self.kind} chain")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda _: work.close())  # cancelled before it began
        return task

    async def ready(self, port: Port) -> tuple[Hosted, Inbox]:
        """A link's running service, and a fresh inbox for what it pushes from now on. Raises
        `LinkFailed`."""
        try:
            hosted = await self._up(port)
        except (ProviderError, OSError, TimeoutError) as error:
            raise LinkFailed(failure_of(error, port.hosted)) from error
        inbox = self._inboxes[id(port)] = Inbox()
        return hosted, inbox

    def paced(
        self,
        port: Port,
        characters: int = 0,
        *,
        spare_s: float = 0.0,
        priority: Priority = Priority.LIVE,
    ) -> AbstractAsyncContextManager[None]:
        """Around one piece of a link's work: keeps to the vendor's limits, where it has some."""
        if port.link.pace is None:
            return FREE
        return self._paced(port, port.link.pace, characters, spare_s, priority)

    @asynccontextmanager
    async def _paced(
        self, port: Port, pace: Pace, characters: int, spare_s: float, priority: Priority
    ) -> AsyncIterator[None]:
        slot = await self.slot(port, pace, characters, spare_s, priority)
        try:
            yield
        finally:
            slot.release()

    async def slot(
        self,
        port: Port,
        pace: Pace,
        characters: int = 0,
        spare_s: float = 0.0,
        priority: Priority = Priority.LIVE,
    ) -> Slot:
        """A place at the vendor. Waits at most for what the link's deadline leaves once its usual
        answer is taken off, and `spare_s`, which nobody notices. Raises `LinkFailed`."""
        first_s = port.link.patience.first_s
        usual_s = port.link.breaker.latency_s() or first_s / 2
        wait_s = max(0.0, first_s - usual_s) + spare_s
        if port is self._ports.usable()[-1]:
            wait_s += LAST_S
        try:
            return await pace.slot(id(self), wait_s, characters, priority)
        except TurnedAway as error:
            raise LinkFailed(Failure(Cause.PACED)) from error

    async def give_up(self, port: Port, failure: Failure) -> None:
        """The link failed at its work: tell everybody, drop its service. One that was not asked,
        because of its vendor's limits, did not fail."""
        if failure.cause is Cause.PACED:
            if port.link.breaker.closed():  # else it was only to be probed
                self._listener.link_failed(self.kind, port.link.name, failure)
            return
        self._inboxes.pop(id(port), None)
        port.link.breaker.failed(failure)
        self._listener.link_failed(self.kind, port.link.name, failure)
        self.drop(port)

    def drop(self, port: Port) -> None:
        """End a link's service beside the work; the chain's end waits for it."""
        dropping = asyncio.create_task(port.drop(), name="provider end")
        self._dropping.add(dropping)
        dropping.add_done_callback(self._dropping.discard)

    async def pushed(self, port: Port, frame: Frame) -> None:
        """A frame of a link's service."""
        if isinstance(frame, MetricsFrame):
            self.metered(port, frame)
            return
        inbox = self._inboxes.get(id(port))
        if inbox is not None:
            await inbox.put(frame)

    def settle(self) -> None:
        """The call is about to end: tell what was used and not told yet."""

    def metered(self, port: Port, frame: MetricsFrame) -> None:
        """What a vendor's service says of its use."""

    async def _up(self, port: Port) -> Hosted:
        frame = self._start_frame
        if frame is None:
            raise ProviderError("the pipeline has not started")

        async def take(pushed: Frame) -> None:
            await self.pushed(port, pushed)

        billed = replace(self.processor_setup, enable_usage_metrics=True)
        return await port.up(take, billed, frame)

    async def _warm(self) -> None:
        """Connect the link that will be used first, so that its first work does not wait."""
        port = self._ports.usable()[0]
        try:
            await self._up(port)
        except (ProviderError, OSError, TimeoutError) as error:
            await self.give_up(port, failure_of(error, port.hosted))

    async def _bounded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (ProviderError, OSError, TimeoutError) as error:
            log.warning("chain", kind=self.kind, error=type(error).__name__)

    async def _close(self) -> None:
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._dropping, self._ports.close())
