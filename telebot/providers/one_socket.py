"""What a vendor's websocket is held to in a call: one connection, opened soon or not at all, whose
every failure is said once, at once and by its kind.

Pipecat 1.14 waits ten seconds for a handshake, reconnects by itself after four to ten seconds in
which the caller hears nothing, and calls a lost connection an error of unknown cause. The chain
that owns the service knows better links than waiting. Mixed in before Pipecat's class.
"""

from __future__ import annotations

from typing import Any

from pipecat.frames.frames import ErrorFrame
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.websocket_service import ReportErrorCallback, WebsocketService
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed, WebSocketException

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S
from telebot.providers.vendor_error import VendorError, kind_of

CLOSE_S = 0.5  # for the vendor to answer our close; a call that ends does not wait longer
FAILURES = (OSError, TimeoutError, WebSocketException)  # of connecting and sending
JUNK = (ValueError, LookupError, TypeError, AttributeError)  # of reading what the vendor sends
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


class OneConnection(FrameProcessor, WebsocketService):
    """One connection a service; see the module. `_vendor_category` is the vendor's own table."""

    _lost_is_final = True  # nothing more comes from a service whose connection is lost

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._reconnect_on_error = False
        self._ws_close_timeout = CLOSE_S

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", CONNECT_S)
        kwargs.setdefault("compression", None)  # audio does not shrink, and waits for the CPU
        return await super()._websocket_connect(uri, **kwargs)

    def _vendor_category(self, code: int, reason: str) -> ErrorCategory | None:
        """What this vendor means by a close code and its reason; None for the common meaning."""
        return None

    def _matters(self, error: Exception | None) -> bool:
        """Whether somebody waits for what the connection would have brought."""
        return True

    async def _after_loss(self) -> None:
        """The connection is gone and the error said."""

    async def _receive_task_handler(self, report_error: ReportErrorCallback) -> None:
        websocket: Any = self._websocket
        if websocket is None:  # connecting has failed and said so
            if self._lost_is_final:
                await self.set_usable(False)
            return
        error: Exception | None = None
        try:
            await self._receive_messages()  # type: ignore[no-untyped-call]
        except (*FAILURES, ProviderError) as caught:
            error = caught
        except JUNK as caught:
            error = VendorError(f"a message that makes no sense ({caught!r})")
        if self._disconnecting:
            return
        websocket.transport.abort()  # nobody listens there any more; a farewell could only hang
        if self._websocket is websocket:
            self._websocket = None
        if self._matters(error):
            said = str(error) if error else "closed by the vendor"
            category = None if error else ErrorCategory.CONNECTIVITY
            frame = ErrorFrame(f"{self}: {said}", exception=error, category=category)
            await report_error(frame, self._lost_is_final)
        await self._after_loss()
        await self._call_event_handler("on_disconnected")

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, ConnectionClosed) and exception.rcvd:
            code, reason = exception.rcvd.code, exception.rcvd.reason
            own = self._vendor_category(code, reason)
            return own or CLOSE_CATEGORIES.get(code, ErrorCategory.CONNECTIVITY)
        return kind_of(exception)
