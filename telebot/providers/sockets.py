"""Services on one websocket each that connect beside everything else, and again when it is lost.

A pipeline starts beside the first connection, where Pipecat's waits for it, and the next utterance
or sentence connects anew. `socket_ears.py` and `socket_voice.py` build on it, and on those the
vendors' own files.
"""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from telebot.call.errors import ProviderError
from telebot.providers.one_socket import OneConnection
from telebot.providers.vendor_error import read_object


class OneSocket(OneConnection):
    """A vendor's service comes after it in the order of bases and gives `_connect_websocket`; the
    vendor's class here gives `_take` for each message, which raises `VendorError` for an error.
    """

    _lost_is_final = False
    _receive_task: Any = None
    _setting_up = False
    _connecting: asyncio.Task[None] | None = None  # beside everything else

    @abstractmethod
    async def _take(self, message: dict[str, Any]) -> None:
        """One message of the vendor, a JSON object."""

    def _is_open(self) -> bool:
        return self._websocket is not None and self._websocket.state is State.OPEN

    def _get_websocket(self) -> Any:
        if self._websocket is None:
            raise ProviderError(f"{self} is not connected")
        return self._websocket

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
            await self._take(read_object(message, str(self)))
