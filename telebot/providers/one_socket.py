"""What a vendor's websocket is held to in a call: one connection, opened soon or not at all, whose
every failure is said at once and by its kind.

Pipecat 1.14 waits ten seconds for a handshake, reconnects by itself after four to ten seconds in
which the caller hears nothing, and calls a lost connection an error of unknown cause. The chain
that owns the service knows better links than waiting. Mixed in before Pipecat's class.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from pipecat.services.websocket_service import WebsocketService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    WebSocketException,
)

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S

if TYPE_CHECKING:
    from pipecat.processors.frame_processor import FrameProcessor

CLOSE_S = 1.0  # for the vendor to answer a close frame
FAILURES = (OSError, TimeoutError, WebSocketException)  # of connecting and sending
# RFC 6455 section 7.4.1; what a vendor means by its own codes is in the vendor's file
CLOSE_CATEGORIES = {
    1002: ErrorCategory.INVALID_REQUEST,
    1003: ErrorCategory.INVALID_REQUEST,
    1007: ErrorCategory.INVALID_REQUEST,
    1008: ErrorCategory.INVALID_REQUEST,
    1011: ErrorCategory.SERVER,
    1012: ErrorCategory.SERVER,
    1013: ErrorCategory.SERVER,
}


class SocketRefused(ProviderError):
    """The vendor said on the open connection what is wrong."""

    def __init__(self, message: str, category: ErrorCategory = ErrorCategory.SERVER) -> None:
        super().__init__(message)
        self.category = category


def read_message(raw: str | bytes, who: str) -> Mapping[str, Any]:
    """A JSON object from the wire. Raises SocketRefused for anything else: a vendor that sends
    junk sends no words either."""
    try:
        message = json.loads(raw)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise SocketRefused(f"{who} sends what is no message")
    return message


class OneConnection(WebsocketService):
    """One connection a service; see the module. `_vendor_category` is the vendor's own table."""

    _lost_is_final = True  # nothing more comes from a service whose connection is lost

    def _hold_to_one(self) -> None:
        """Call it after Pipecat's constructor."""
        self._reconnect_on_error = False
        self._ws_close_timeout = CLOSE_S

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", CONNECT_S)
        kwargs.setdefault("compression", None)  # audio does not shrink, and waits for the CPU
        return await super()._websocket_connect(uri, **kwargs)

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        """What this vendor means by a close code and its reason; None for the common meaning."""
        return None

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, SocketRefused):
            return exception.category
        if isinstance(exception, ConnectionClosed):
            code = exception.rcvd.code if exception.rcvd else 1006
            reason = exception.rcvd.reason if exception.rcvd else ""
            own = self._vendor_category(code, reason)
            return own or CLOSE_CATEGORIES.get(code, ErrorCategory.CONNECTIVITY)
        if isinstance(exception, InvalidStatus):
            return None  # by its status
        if isinstance(exception, InvalidHandshake | OSError | EOFError):
            return ErrorCategory.CONNECTIVITY
        return None

    async def _receive_task_handler(self, report_error: Any) -> None:
        async def lost(error: Any, force_treat_as_permanent: bool = False) -> None:
            if error.exception is None:  # closed politely, and yet in the middle of a call
                error.category = ErrorCategory.CONNECTIVITY
            await report_error(error, force_treat_as_permanent or self._lost_is_final)

        if self._websocket is None:  # connecting has failed and said so
            if self._lost_is_final:
                await cast("FrameProcessor", self).set_usable(False)
            return
        await super()._receive_task_handler(lost)
        left, self._websocket = self._websocket, None
        if left is not None:
            left.transport.abort()  # nobody listens there any more; a farewell could only hang
