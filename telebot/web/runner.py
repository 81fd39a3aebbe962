"""The socket side of the HTTP edge: connections are bounded in number, and what cannot be read as a
request, or is answered by aiohttp itself, gets the envelope of every other error (`errors.py`).

`app.py` runs one. Requests that can be read go on to the application's middlewares.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from telebot.web.errors import error, of_http


class Runner(web.AppRunner):
    """An `AppRunner` whose every error is the envelope. Beyond `most` connections the oldest on
    which nothing is asked gives way to a new one: whoever opens many and says nothing keeps no
    carrier out."""

    def __init__(self, app: web.Application, *, most: int, **options: Any) -> None:
        super().__init__(app, **options)
        self._most = most

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            self._most,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )


class _Server(web.Server):
    def __init__(self, handler: Any, most: int, **options: Any) -> None:
        async def answered(request: web.BaseRequest) -> web.StreamResponse:
            try:
                told: web.StreamResponse = await handler(request)
            except (
                web.HTTPException
            ) as raised:  # before any middleware: an `Expect` of nothing known
                if raised.status < HTTPStatus.BAD_REQUEST:
                    raise
                return of_http(raised)
            return told

        super().__init__(answered, **options)
        self._most = most

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        super().connection_made(handler, transport)
        if len(self._connections) <= self._most:
            return
        for each in self._connections:  # the oldest first
            if each is not handler and not each._request_in_progress and not each._force_close:
                each.force_close()
                return

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What was no request, or failed outside of every handler; `message` quotes what came."""
        super().handle_error(request, status, exc, message)  # which logs it
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            answer = error(status, "The server failed; it is in its log.")
        else:
            long = isinstance(exc, LineTooLong)
            why = "a line of it is too long" if long else "it cannot be read"
            answer = error(status, f"This is no request as HTTP has them: {why}.", "unreadable")
        answer.force_close()
        return answer
