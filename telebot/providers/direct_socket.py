"""One websocket of JSON objects on which a vendor's direct session runs (`direct.py`): opened soon
or not at all, never waited for, and every failure of it a `VendorError` of its kind.

A vendor's `NAME_direct.py` says what travels; one whose SDK has the socket uses `session_lost`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from pipecat.utils.errors import ErrorCategory
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from telebot.providers.direct import DirectEvent
from telebot.providers.resources import CONNECT_S
from telebot.providers.vendor_error import VendorError, read_object

SEND_S = 2.0  # a vendor that takes nothing for as long has gone
CLOSE_S = 0.5
MAX_MESSAGE_BYTES = 8 << 20
FAILURES = (WebSocketException, OSError, TimeoutError)
JUNK = (
    ValueError,
    TypeError,
    AttributeError,
    KeyError,
)  # a message of another shape than it is to have

Message = Mapping[str, Any]
KindOf = Callable[[Exception], ErrorCategory | None]


class DirectSocket:
    """One session's socket. `who` is the vendor, `kind_of` what its failures mean. All but `close`
    raise `VendorError`; what is sent once it is closed is lost."""

    def __init__(self, who: str, kind_of: KindOf) -> None:
        self._who = who
        self._kind_of = kind_of
        self._socket: ClientConnection | None = None

    async def open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        compression: str | None = "deflate",
    ) -> None:
        """Connect, once."""
        try:
            self._socket = await connect(
                url,
                additional_headers=headers,
                compression=compression,
                open_timeout=CONNECT_S,
                close_timeout=CLOSE_S,
                max_size=MAX_MESSAGE_BYTES,
            )
        except FAILURES as error:
            raise session_lost(error, self._kind_of) from error

    async def send(self, message: Message) -> None:
        """One message."""
        if self._socket is None:
            return
        try:
            async with asyncio.timeout(SEND_S):
                await self._socket.send(json.dumps(message))
        except FAILURES as error:
            raise session_lost(error, self._kind_of) from error

    async def message(self, within_s: float | None) -> dict[str, Any] | None:
        """The next one; None where none comes in time."""
        if self._socket is None:
            raise VendorError("the session was closed", ErrorCategory.CONNECTIVITY)
        try:
            async with asyncio.timeout(within_s):
                raw = await self._socket.recv()
        except TimeoutError:
            return None
        except FAILURES as error:
            raise session_lost(error, self._kind_of) from error
        return read_object(raw, self._who)

    async def answer(self) -> dict[str, Any]:
        """The next message while the session is being opened."""
        told = await self.message(CONNECT_S)
        if told is None:
            raise VendorError("the session does not begin", ErrorCategory.CONNECTIVITY)
        return told

    async def messages(self) -> AsyncIterator[dict[str, Any]]:
        """All that come; their end raises."""
        socket = self._socket
        if socket is None:
            return
        try:
            async for raw in socket:
                yield read_object(raw, self._who)
        except FAILURES as error:
            raise session_lost(error, self._kind_of) from error
        raise VendorError("the connection was closed", ErrorCategory.CONNECTIVITY)

    def understood(
        self, read: Callable[[Message], Sequence[DirectEvent]], message: Message
    ) -> Sequence[DirectEvent]:
        """What `read` makes of a message."""
        try:
            return read(message)
        except JUNK as error:
            raise VendorError(f"{self._who} sends what is no message") from error

    async def close(self) -> None:
        """Idempotent."""
        socket, self._socket = self._socket, None
        if socket is not None:
            with suppress(*FAILURES):
                await socket.close()


def session_lost(error: Exception, kind_of: KindOf) -> VendorError:
    """Why a session could not be opened, or is over."""
    if isinstance(error, VendorError):
        return error
    if isinstance(error, InvalidStatus):
        return VendorError.of_status("the handshake was refused", error.response.status_code)
    why = type(error).__name__
    if isinstance(error, ConnectionClosed):
        why = (error.rcvd.reason if error.rcvd is not None else "") or "closed"
    kind = kind_of(error) or ErrorCategory.CONNECTIVITY
    return VendorError(f"the session is over: {why}", kind)
