"""Services on one websocket each that say at once what goes wrong.

Pipecat 1.14 connects again by itself: three attempts with pauses of 4 to 10 s, some services
without any pause, and tells of a drop without its category. A call needs the opposite: one error
with its cause, now, for the chain above to act on. The next utterance or sentence connects anew.
And a pipeline starts beside the first connection, where Pipecat's waits for it.

`socket_ears.py` and `socket_voice.py` build on it, and on those the vendors' own files.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from pipecat.frames.frames import (
    ErrorFrame,
)
from pipecat.processors.frame_processor import (
    FrameProcessor,
)
from pipecat.services.websocket_service import ReportErrorCallback, WebsocketService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.protocol import State

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S

CLOSE_S = 0.5  # for the vendor to answer our close; a call that ends does not wait longer
OPTIONS = {"ws_close_timeout": CLOSE_S, "reconnect_on_error": False}


class Refusal(ProviderError):
    """The vendor refuses, with the HTTP status that it names (Pipecat reads `status_code`)."""

    def __init__(self, message: str, status_code: int | None = None) -> None:
        super().__init__(message)
        self.status_code = status_code


class OneSocket(FrameProcessor, WebsocketService):
    """A service on one connection, whose end is reported once and at once.

    A vendor's service comes after it in the order of bases and gives `_connect_websocket`; the
    vendor's class here gives `_take` for each message, which raises `Refusal` for an error.
    """

    _receive_task: Any = None
    _setting_up = False
    _connecting: asyncio.Task[None] | None = None  # beside everything else

    async def _take(self, message: dict[str, Any]) -> None:
        """One message of the vendor, a JSON object."""
        raise NotImplementedError

    def _is_open(self) -> bool:
        return self._websocket is not None and self._websocket.state is State.OPEN

    def _expects_more(self) -> bool:
        """Whether somebody waits for what the connection would have brought."""
        return True

    async def _after_loss(self) -> None:
        """The connection is gone and the error said."""

    def _get_websocket(self) -> Any:
        if self._websocket is None:
            raise ProviderError(f"{self} is not connected")
        return self._websocket

    async def _websocket_connect(self, uri: str, **kwargs: Any) -> Any:
        kwargs.setdefault("open_timeout", CONNECT_S)
        return await super()._websocket_connect(uri, **kwargs)

    async def _connect(self) -> None:
        """Connect once; what fails has been said by `_connect_websocket`."""
        if self._setting_up:
            return
        former, self._receive_task = self._receive_task, None
        if former is not None and not former.done():
            former.cancel()
            await asyncio.gather(former, return_exceptions=True)
        await super()._connect()  # type: ignore[no-untyped-call]

    def _begin(self) -> None:
        """Connect beside everything else; sets `_connecting`."""
        self._connecting = self.create_task(self._connect(), name="connecting")

    async def setup(self, setup: Any) -> None:
        self._setting_up = True
        try:
            await super().setup(setup)
        finally:
            self._setting_up = False
        self._begin()

    async def cleanup(self) -> None:
        if self._connecting is not None:
            await self.cancel_task(self._connecting)
            self._connecting = None
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _disconnect_websocket(self) -> None:
        websocket, self._websocket = self._websocket, None
        if websocket is not None:
            with suppress(ConnectionClosed, OSError):
                await websocket.close()
            await self._call_event_handler("on_disconnected")

    async def _receive_messages(self) -> None:
        async for message in self._get_websocket():
            try:
                told = json.loads(message)
                if not isinstance(told, dict):
                    raise ValueError("not an object")
                await self._take(told)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise ProviderError(f"a message that makes no sense ({error!r})") from error

    async def _receive_task_handler(self, report_error: ReportErrorCallback) -> None:
        websocket: Any = self._websocket
        error: Exception | None = None
        if websocket is None:
            return
        try:
            await self._receive_messages()
        except (ConnectionClosed, ProviderError, OSError) as caught:
            error = caught
        if self._disconnecting:
            return
        websocket.transport.abort()  # whatever the vendor still has to say
        if self._websocket is websocket:
            self._websocket = None
        if self._expects_more():
            said = str(error) if error else "closed by the vendor"
            category = None if error else ErrorCategory.CONNECTIVITY
            await report_error(ErrorFrame(f"{self}: {said}", exception=error, category=category))
        await self._after_loss()
        await self._call_event_handler("on_disconnected")

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        if isinstance(exception, ConnectionClosed):
            return _closed_because(exception)
        if isinstance(exception, InvalidStatus) or getattr(exception, "status_code", None):
            return None  # Pipecat reads the status
        if isinstance(exception, InvalidHandshake | OSError | EOFError):
            return ErrorCategory.CONNECTIVITY
        return ErrorCategory.SERVER if isinstance(exception, ProviderError) else None


def _closed_because(closed: ConnectionClosed) -> ErrorCategory:
    """The category of a close whose reason begins with an HTTP status (``429: …``), if it does."""
    status = closed.rcvd.reason[:3] if closed.rcvd else ""
    if status.isdecimal() and len(status) == 3:
        return classify_http_status_code(int(status))
    return ErrorCategory.CONNECTIVITY
