"""Where bot audio leaves: one media socket, written to without ever waiting for its peer.

All calls share one ticker that sends audio; a peer that stopped reading must not hold it up. What
it has not read is buffered up to a limit, then the connection is cut.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable

import structlog
from aiohttp import WSMsgType, web

from telebot.call.events import MediaCodec

UNREAD_BYTES = 128 * 1024  # 12 s of audio in base64; the lead is 0.3 s
NEVER_PAUSE_BYTES = 4 * UNREAD_BYTES  # aiohttp waits beyond this, so we never get there

log = structlog.get_logger(__name__)


class SocketWire:
    """A `MediaWire` on an aiohttp socket. `on_close` is called once when our side hangs up,
    `on_stall` when the peer does not read."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: Transport,
        codec: MediaCodec,
        on_close: Callable[[], None],
        on_stall: Callable[[], None],
    ) -> None:
        self._transport = transport
        self._codec = codec
        self._on_close = on_close
        self._on_stall = on_stall
        self._send_frame = socket.send_frame
        self.open = True
        transport.set_write_buffer_limits(high=NEVER_PAUSE_BYTES)

    def send_audio(self, ulaw: bytes) -> None:
        """Play `ulaw` (8 kHz mu-law) after what was sent before."""
        if self.open and ulaw:
            self._send(self._codec.audio(ulaw))

    def send_mark(self, name: str) -> None:
        """Be told when everything sent so far was played."""
        if self.open:
            log.debug(">", message="Mark")
            self._send(self._codec.mark(name))

    def send_clear(self) -> None:
        """Forget what was sent and not yet played."""
        if self.open:
            log.debug(">", message="Clear")
            self._send(self._codec.clear())

    async def close(self) -> None:
        """Hang up. Does not wait for the peer; the socket's own task ends the call."""
        if self.open:
            self.open = False
            self._on_close()

    def _send(self, message: bytes) -> None:
        if self._transport.is_closing():
            self.open = False
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            self._stalled()
            return
        sending = self._send_frame(message, WSMsgType.TEXT)
        try:
            sending.send(None)  # one step: it writes, and waits only for a peer that is stuck
        except StopIteration:
            return
        except ConnectionError:
            self.open = False
        else:
            sending.close()
            self._stalled()

    def _stalled(self) -> None:
        self.open = False
        self._on_stall()
