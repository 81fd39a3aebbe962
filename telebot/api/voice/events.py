"""Answers that go on: server-sent events
(https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import orjson
import structlog
from aiohttp import web

from telebot.api.answers import PRIVATE
from telebot.api.streaming import Stream
from telebot.call.errors import ApiError

FAILED = "The server failed; it is in its log."
log = structlog.get_logger(__name__)


class Events:
    """A stream of events as an answer. Enter it, `begin` once the request is known to be good:
    errors before that are answered as always, later ones as an ``error`` event."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self._begun = False
        self.response = Stream(
            request, PRIVATE | {"Content-Type": "text/event-stream; charset=utf-8"}
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not self._begun:
            return False
        if error is not None:
            self.response.spoil()
        if isinstance(error, ApiError):
            body = {"message": str(error), "code": error.code, "metadata": error.metadata}
            await self.send("error", {"error": body})
        elif isinstance(error, Exception) and not isinstance(error, ConnectionError):
            log.error("request_failed", route=self._request.path, exc_info=error)
            body = {"message": FAILED, "code": "internal_server_error", "metadata": None}
            await self.send("error", {"error": body})
        elif error is not None:
            return False
        await self.response.write_eof()
        return True

    async def begin(self) -> None:
        """Send the head. Idempotent."""
        if not self._begun:
            self._begun = True
            await self.response.prepare(self._request)

    async def send(self, event: str, data: dict[str, Any]) -> None:
        """One event; an empty name is left out, as OpenAI does it."""
        await self.begin()
        name = f"event: {event}\n".encode() if event else b""
        await self.response.write(name + b"data: " + orjson.dumps(data) + b"\n\n")
