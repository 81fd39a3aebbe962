"""Every error of the HTTP edge as one JSON envelope: ``{"error": {"code", "message"}}``.

No stack trace, no words of a library, and nothing of the configuration leaves the server.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus

import structlog
from aiohttp import web

from telebot.call.errors import (
    BadRequest,
    NotAuthentic,
    ProviderBusy,
    Refused,
    Remote,
    TelebotError,
    Unsupported,
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)

STATUSES: tuple[tuple[type[TelebotError], HTTPStatus], ...] = (
    (NotAuthentic, HTTPStatus.FORBIDDEN),
    (BadRequest, HTTPStatus.BAD_REQUEST),
    (Unsupported, HTTPStatus.NOT_IMPLEMENTED),
    (Refused, HTTPStatus.SERVICE_UNAVAILABLE),
    (ProviderBusy, HTTPStatus.SERVICE_UNAVAILABLE),
    (Remote, HTTPStatus.BAD_GATEWAY),
)


def error(
    status: int, message: str, code: str = "", headers: dict[str, str] | None = None
) -> web.Response:
    """The envelope. `code` is a word for programs; the status' own name where none is given."""
    body = {"error": {"code": code or HTTPStatus(status).name.lower(), "message": message}}
    return web.json_response(body, status=status, headers=headers)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into the envelope."""
    try:
        return await handler(request)
    except web.HTTPException as raised:
        if raised.status < HTTPStatus.BAD_REQUEST:
            raise
        return _http_error(raised)
    except TelebotError as raised:
        return _ours(raised)
    except ConnectionError:
        raise  # nobody is there to be told
    except Exception:  # the boundary of a request's task
        log.exception("request_failed", method=request.method, route=_route(request))
        return error(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; it is in its log.")


def _http_error(raised: web.HTTPException) -> web.Response:
    default = f"{raised.status}: {raised.reason}"
    message = raised.text if raised.text and raised.text != default else raised.reason
    headers = {name: value for name, value in raised.headers.items() if name == "Allow"}
    response = error(raised.status, message or "", headers=headers)
    if raised.keep_alive is False:
        response.force_close()
    return response


def _ours(raised: TelebotError) -> web.Response:
    for kind, status in STATUSES:
        if isinstance(raised, kind):
            return error(status, str(raised))
    log.error("request_failed", error=type(raised).__name__)
    return error(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; it is in its log.")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
