"""The end of one media socket, from our side: what is said last, who closes, and in what time.

`media_stream.py` knows when and why; no peer can hold the end of its call up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from aiohttp import WSMessage, WSMsgType

from telebot.call.events import MediaCodec, MediaEvent, Reply
from telebot.web.media_wire import MessageSocket, SocketWire

CUT_AFTER_S = 5.0  # for a peer to take what we have sent, our close frame too
GONE = frozenset({"caller_hangup", "carrier_ended"})  # the carrier's leg is over

Decoders = Mapping[WSMsgType, Callable[[bytes], MediaEvent]]


class Farewell:
    """One socket's. `reason` is always a termination reason; the first one stands."""

    def __init__(
        self,
        socket: MessageSocket,
        transport: asyncio.Transport,
        codec: MediaCodec,
        wire: SocketWire,
        decoders: Decoders,
    ) -> None:
        self._socket = socket
        self._transport = transport
        self._codec = codec
        self._wire = wire
        self._decoders = decoders
        self._closing: asyncio.Task[None] | None = None
        self.left = asyncio.Event()
        """Nothing is read any more."""

    def say(self, reason: str) -> None:
        """The last that is sent, where the carrier does not know already that it is over."""
        if reason not in GONE or self._codec.says_every_end:
            self._wire.send(self._codec.goodbye(reason))
        self._wire.open = False

    async def answer(self, message: WSMessage, reason: str) -> bool:
        """Something came after our goodbye. False where nothing more is to be said."""
        decode = self._decoders.get(message.type)
        if decode is None or not self._codec.farewell_s or reason in GONE:
            return False
        event = decode(cast(bytes, message.data))
        if type(event) is Reply:
            await self._socket.send_frame(event.message, WSMsgType.TEXT)
        return True

    def close(self, reason: str, code: int) -> asyncio.Task[None]:
        """Close the socket, by a task that is the same one each time; the codec may know a better
        close code than `code`."""
        if self._closing is None:
            code = self._codec.close_codes.get(reason, code)
            self._closing = asyncio.create_task(self._close(code))
        return self._closing

    async def _close(self, code: int) -> None:
        """In bounded time, also where the peer reads nothing any more; one that is to close itself
        may do so first."""
        if self._codec.farewell_s:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.left.wait(), self._codec.farewell_s)
        with suppress(TimeoutError):
            async with asyncio.timeout(CUT_AFTER_S):
                await self._socket.close(code=code)
        if self._transport.get_write_buffer_size():  # it would wait for that peer for ever
            asyncio.get_running_loop().call_later(CUT_AFTER_S, self._transport.abort)
