"""The line: a carrier's stream (`stream.py`) on a real connection and a real clock.

One task sends what is due, one reads what comes; whoever waits for something is woken at every
step of the call's clock. The server closing the connection is the bot hanging up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from telebot.audio.g711 import RATE_HZ
from telebot.phone.exchange import Connection
from telebot.phone.stream import Message

Clock = Callable[[], float]  # monotonic seconds


class Line:
    """A live media stream. `over` is set when it ended, `ended_by` then says by whom."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock = time.monotonic,
    ) -> None:
        self.stream = connection.stream
        self.over = asyncio.Event()
        self.ended_by: str | None = None
        self.cut_samples = 0  # bot audio that was never played because the bot hung up
        self._wire = connection.wire
        self._clock = clock
        self._stepped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def close_code(self) -> int | None:
        """The WebSocket close code, once the connection is closed."""
        return self._wire.close_code

    async def open(self) -> None:
        """Begin the stream, with a frame every 20 ms from now on."""
        await self._send(self.stream.open(self._clock()))
        self._tasks = [
            asyncio.create_task(self._keep_time(), name="phone_clock"),
            asyncio.create_task(self._listen(), name="phone_listen"),
        ]

    async def until(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Wait for `condition`, by the call's own clock; False where it did not come true."""
        limit = self.stream.position + round(timeout_s * RATE_HZ)
        while not condition():
            if self.over.is_set() or self.stream.position >= limit:
                return False
            await self._stepped.wait()
        return True

    async def press(self, digit: str) -> None:
        """Send one key."""
        await self._send(self.stream.press(digit))

    async def hang_up(self) -> None:
        """The caller puts the phone down: says so, then closes. Nothing where the bot was first."""
        if not self.over.is_set():
            await self._send(self.stream.stop())
            self._finish("caller")
        await self.close()

    async def close(self) -> None:
        """End both tasks and close the connection, whatever state the call is in."""
        await self.abandon()
        await self._wire.close()

    async def abandon(self) -> None:
        """End both tasks and say nothing to the server."""
        self._finish("caller")
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _keep_time(self) -> None:
        try:
            while not self.over.is_set():
                await asyncio.sleep(max(0.0, self.stream.due_s() - self._clock()))
                await self._send(self.stream.advance(self._clock()))
                self._step()
        finally:
            self._finish("caller")

    async def _listen(self) -> None:
        try:
            async for message in self._wire.messages():
                await self._send(self.stream.receive(message, self._clock()))
                if self.stream.hung_up:
                    break
        finally:
            # what the carrier still had to play is lost with the connection
            self.cut_samples = self.stream.playout.buffered
            self._finish("bot")

    async def _send(self, messages: list[Message]) -> None:
        for message in messages:
            try:
                await self._wire.send(message)
            except ConnectionError:
                return  # the reader sees the same end, and says whose it is

    def _finish(self, by: str) -> None:
        if not self.over.is_set():
            self.ended_by = by
            self.over.set()
        self._step()

    def _step(self) -> None:
        stepped, self._stepped = self._stepped, asyncio.Event()
        stepped.set()
