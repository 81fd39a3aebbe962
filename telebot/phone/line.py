"""The line: `stream.py` on a real WebSocket and a real clock.

One task sends what is due, one reads what comes; whoever waits for something is woken at every
step of the call's clock. The server closing the socket is the bot hanging up.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

import aiohttp

from telebot.audio.g711 import RATE_HZ
from telebot.phone.stream import TwilioStream

MAX_MESSAGE_BYTES = 1 << 20
CLOSE_TIMEOUT_S = 3.0

Clock = Callable[[], float]  # monotonic seconds


class Line:
    """A live media stream. `over` is set when it ended, `ended_by` then says by whom."""

    def __init__(
        self,
        stream: TwilioStream,
        socket: aiohttp.ClientWebSocketResponse,
        clock: Clock = time.monotonic,
    ) -> None:
        self.stream = stream
        self.over = asyncio.Event()
        self.ended_by: str | None = None
        self.cut_samples = 0  # bot audio that was never played because the bot hung up
        self._socket = socket
        self._clock = clock
        self._stepped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def close_code(self) -> int | None:
        """The WebSocket close code, once the socket is closed."""
        return self._socket.close_code

    async def open(self) -> None:
        """Begin the stream: connected, start, and a frame every 20 ms from now on."""
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
        """The caller puts the phone down: stop, then close. Nothing where the bot was first."""
        if not self.over.is_set():
            await self._send(self.stream.stop())
            self._finish("caller")
        await self.close()

    async def close(self) -> None:
        """End both tasks and close the socket, whatever state the call is in."""
        await self.abandon()
        await self._socket.close()

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
            async for message in self._socket:
                if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                    await self._send(self.stream.receive(message.data, self._clock()))
        finally:
            # what the carrier still had to play is lost with the socket
            self.cut_samples = self.stream.playout.buffered
            self._finish("bot")

    async def _send(self, messages: list[bytes]) -> None:
        for message in messages:
            try:
                await self._socket.send_frame(message, aiohttp.WSMsgType.TEXT)
            except (ConnectionError, aiohttp.ClientError):
                return  # the reader sees the same end, and says whose it is

    def _finish(self, by: str) -> None:
        if not self.over.is_set():
            self.ended_by = by
            self.over.set()
        self._step()

    def _step(self) -> None:
        stepped, self._stepped = self._stepped, asyncio.Event()
        stepped.set()
