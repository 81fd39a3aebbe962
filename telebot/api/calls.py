"""`/v1/calls`: the call log for programs.

Reads `records/`; who may ask is decided by the `authorize` that `app.py` hands in, and what a
handler raises the edge answers. The table of endpoints here makes the routes and, in `openapi.py`,
their description.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiohttp import web
from pydantic import BaseModel

from telebot.api.answers import PRIVATE, answer
from telebot.api.query import CallQuery, EventQuery, parsed
from telebot.call.errors import ApiError
from telebot.records import shape
from telebot.records.keys import Scope
from telebot.records.reading import BadCursor, CallReader, NoRecording
from telebot.records.retention import Retention, StillLive

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
EVENTS = "text/event-stream"
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


# lets a request pass, or raises `records.keys.NoKey` (401) or `WrongScope` (403)
Authorize = Callable[[web.Request, Scope], None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One route and everything its description needs. `answers` is the shape of the answer, or a
    media type; None where there is none (204). `scope` is None where no key is needed. `failures`
    are those that not every request of its kind may meet (`openapi.py` knows the others)."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None
    summary: str
    answers: type[BaseModel] | str | None
    query: type[BaseModel] | None = None
    failures: tuple[int, ...] = ()
    body: type[BaseModel] | None = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()  # of the request: name and what it is for
    form: type[BaseModel] | None = None  # may be sent as multipart/form-data, with a `file`
    also: tuple[str, ...] = ()  # media types that the answer may have instead
    tells: tuple[tuple[str, str], ...] = ()  # headers of the answer
    bare: bool = False  # may be sent without a body
    ranges: bool = False  # parts of the answer may be asked for


class HasEndpoints(Protocol):
    """A part of the API."""

    def endpoints(self) -> list[Endpoint]: ...


class CallsApi:
    """The handlers, on the records they read. `sees` tells the key whose sessions alone a request
    may see, None where it may see all."""

    def __init__(
        self,
        reader: CallReader,
        retention: Retention,
        sees: Callable[[web.Request], str | None] = lambda request: None,
    ) -> None:
        self._reader = reader
        self._retention = retention
        self._sees = sees

    def endpoints(self) -> list[Endpoint]:
        one, page = "/v1/calls/{id}", (400,)
        viewer, missing = Scope.VIEWER, (404,)
        return [
            Endpoint(
                "GET",
                "/v1/calls",
                self.calls,
                viewer,
                "Calls, newest first",
                shape.CallPage,
                CallQuery,
                page,
            ),
            Endpoint(
                "GET",
                one,
                self.call,
                viewer,
                "One call with its turns, latencies, notes and cost",
                shape.CallDetail,
                failures=missing,
            ),
            Endpoint(
                "GET",
                f"{one}/recording",
                self.recording,
                viewer,
                "Stereo recording, caller left and bot right; takes Range requests",
                "audio/wav",
                failures=missing,
                ranges=True,
            ),
            Endpoint(
                "GET",
                f"{one}/events",
                self.events,
                viewer,
                "What happened on the call's wire and in its session, oldest first",
                shape.EventPage,
                EventQuery,
                (400, 404),
            ),
            Endpoint(
                "DELETE",
                one,
                self.delete,
                Scope.ADMIN,
                "Delete a call, its recording and everything said",
                None,
                failures=(404, 409),
            ),
        ]

    async def calls(self, request: web.Request) -> web.Response:
        query = parsed(CallQuery, request)
        try:
            page = await self._reader.page(
                query.filter(), query.limit, query.cursor, sees=self._sees(request)
            )
        except BadCursor as error:
            raise _bad_cursor(error) from None
        return answer(page)

    async def call(self, request: web.Request) -> web.Response:
        call = await self._reader.call(call_id_of(request), sees=self._sees(request))
        if call is None:
            raise no_call()
        return answer(call)

    async def recording(self, request: web.Request) -> web.StreamResponse:
        call_id = call_id_of(request)
        try:
            path = await self._reader.recording(call_id, sees=self._sees(request))
        except NoRecording as error:
            raise ApiError(404, f"recording_{error.code}", _UNHEARD[error.code]) from None
        if path is None:
            raise no_call()
        return wav_answer(path)

    async def events(self, request: web.Request) -> web.Response:
        query = parsed(EventQuery, request)
        try:
            page = await self._reader.events(
                call_id_of(request), query.limit, query.cursor, sees=self._sees(request)
            )
        except BadCursor as error:
            raise _bad_cursor(error) from None
        if page is None:
            raise no_call()
        return answer(page)

    async def delete(self, request: web.Request) -> web.Response:
        try:
            found = await self._retention.delete(call_id_of(request))
        except StillLive:
            raise ApiError(409, "call_live", _LIVE) from None
        if not found:
            raise no_call()
        return web.Response(status=204, headers=PRIVATE)


def setup(app: web.Application, authorize: Authorize, *parts: HasEndpoints) -> list[Endpoint]:
    """Add the routes; returns the endpoints for `openapi.setup`."""
    endpoints = [endpoint for part in parts for endpoint in part.endpoints()]
    for endpoint in endpoints:
        guarded = _guarded(endpoint, authorize)
        if endpoint.method == "GET":
            app.router.add_get(endpoint.path, guarded)  # HEAD too
        else:
            app.router.add_route(endpoint.method, endpoint.path, guarded)
    return endpoints


def wav_answer(path: Path) -> web.FileResponse:
    """A WAV file, in parts where a Range asks for them (RFC 9110 section 14)."""
    disposition = f'inline; filename="{path.name}"'
    headers = {"Content-Type": "audio/wav", "Content-Disposition": disposition}
    return web.FileResponse(path, headers=headers | PRIVATE)


def _guarded(endpoint: Endpoint, authorize: Authorize) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        if endpoint.scope is not None:
            authorize(request, endpoint.scope)
        return await endpoint.handler(request)

    return handler


def call_id_of(request: web.Request) -> str:
    call_id = request.match_info["id"]
    if not _ID.match(call_id):
        raise no_call()
    return call_id


def no_call() -> ApiError:
    return ApiError(404, "no_such_call", "There is no such call, or it was deleted.", "id")


def _bad_cursor(error: BadCursor) -> ApiError:
    return ApiError(400, "invalid_parameter", f"cursor: {error}.", "cursor")


_LIVE = "The call is up, or its recording not finished; delete it later."
_UNHEARD = {
    "off": "This call was not recorded.",
    "live": "The recording is not finished; ask again after the end of the call.",
    "missing": "The recording's file is gone.",
    "elsewhere": "The recording lies on the server that took the call.",
}
