"""Where bot audio leaves: one media socket, written to without ever waiting for its peer.

All calls share one ticker that sends audio; a peer that stopped reading must not hold it up. What
it has not read is buffered up to a limit, then the connection is cut.
"""

from __future__ import annotations

from asyncio import Transport
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog
from aiohttp import WSMessage, WSMsgType

from telebot.audio.g711 import BYTES_PER_MS
from telebot.audio.line import Line
from telebot.call.events import MediaCodec

UNREAD_BYTES = 128 * 1024  # 12 s of audio in base64; the lead is 0.3 s
NEVER_PAUSE_BYTES = 4 * UNREAD_BYTES  # aiohttp waits beyond this, so we never get there

log = structlog.get_logger(__name__)


class MessageSocket(Protocol):
    """A connection that carries messages: aiohttp's WebSocket, or what is like one."""

    @property
    def close_code(self) -> int | None:
        """The code it was closed with, once it is."""
        ...

    async def receive(self) -> WSMessage:
        """The next message; one that is neither text nor binary when there are no more."""
        ...

    async def send_frame(self, message: bytes, opcode: WSMsgType) -> None:
        """Write a message; waits only where the peer is stuck."""
        ...

    async def close(self, *, code: int = 1000) -> bool: ...


class SocketWire:
    """A `MediaWire` on such a socket. `on_close` is called once when our side hangs up,
    `on_stall` when the peer does not read."""

    held = False  # no media socket tells of a hold

    def __init__(
        self,
        socket: MessageSocket,
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
        self._audio_type = WSMsgType.BINARY if codec.binary else WSMsgType.TEXT
        self.lead_ms = codec.lead_ms
        self.piece_ms = codec.piece_ms
        self._most = None if codec.piece_ms is None else codec.piece_ms * BYTES_PER_MS
        self.echoes_marks = codec.echoes_marks
        self.open = True
        transport.set_write_buffer_limits(high=NEVER_PAUSE_BYTES)

    @property
    def line(self) -> Line:
        """As the codec has it, once its stream has started."""
        return self._codec.line

    def send_audio(self, audio: bytes) -> None:
        """Play `audio` (as the line says it) after what was sent before."""
        if not self.open or not audio:
            return
        if self._most is None or len(audio) <= self._most:
            self._send(self._codec.audio(audio), self._audio_type)
            return
        for at in range(0, len(audio), self._most):
            self._send(self._codec.audio(audio[at : at + self._most]), self._audio_type)

    def send_mark(self, name: str) -> None:
        """Be told when everything sent so far was played."""
        self._tell("Mark", self._codec.mark(name) if self.open else None)

    def send_clear(self) -> None:
        """Forget what was sent and not yet played."""
        self._tell("Clear", self._codec.clear() if self.open else None)

    def send(self, messages: Sequence[bytes]) -> None:
        """Say something else that the wire knows."""
        for message in messages:
            self._tell("Control", message)

    async def close(self) -> None:
        """Hang up. Does not wait for the peer; the socket's own task ends the call."""
        if self.open:
            self._on_close()  # which still has a goodbye to send
            self.open = False

    def _tell(self, kind: str, message: bytes | None) -> None:
        if message is not None and self.open:
            log.debug(">", message=kind)
            self._send(message, WSMsgType.TEXT)

    def _send(self, message: bytes, kind: WSMsgType) -> None:
        if self._transport.is_closing():
            self.open = False
            return
        if self._transport.get_write_buffer_size() > UNREAD_BYTES:
            self._stalled()
            return
        sending = self._send_frame(message, kind)
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
