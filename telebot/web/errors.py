"""Every error of the server's HTTP as one JSON envelope, `/v1` too (`api/answers.py` describes it):
``{"error": {"message", "type", "code", "param"}}``, with ``metadata`` where there is more to tell;
as problem details (RFC 9457) for who asks for them by ``Accept``.

No stack trace, no words of a library, and nothing of the configuration leaves the server.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web

from telebot.call.errors import (
    ApiError,
    BadRequest,
    NotAuthentic,
    ProviderBusy,
    Refused,
    Remote,
    TelebotError,
)
from telebot.records.keys import ExpiredKey, NoKey, WrongScope
from telebot.records.store import RecordsAway

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger(__name__)

# the first that fits; where no message stands, the error's own is told
STATUSES: tuple[tuple[type[TelebotError], HTTPStatus, str, str], ...] = (
    (ExpiredKey, HTTPStatus.UNAUTHORIZED, "key_expired", "This key has expired."),
    (NoKey, HTTPStatus.UNAUTHORIZED, "no_key", "Send an API key: Authorization: Bearer KEY."),
    (WrongScope, HTTPStatus.FORBIDDEN, "wrong_scope", "This {}."),
    (
        RecordsAway,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "records_away",
        "The database does not answer; try again shortly.",
    ),
    (NotAuthentic, HTTPStatus.FORBIDDEN, "", ""),
    (BadRequest, HTTPStatus.BAD_REQUEST, "", ""),
    (Refused, HTTPStatus.SERVICE_UNAVAILABLE, "", ""),
    (ProviderBusy, HTTPStatus.SERVICE_UNAVAILABLE, "", ""),
    (Remote, HTTPStatus.BAD_GATEWAY, "", ""),
)
TYPES = {401: "authentication", 403: "permission", 404: "not_found"}
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PROBLEM = "application/problem+json"
MOST_ACCEPTED = 2000  # characters
TOLD: web.ResponseKey[dict[str, Any]] = web.ResponseKey("told", dict)  # what the envelope holds
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="telebot"'}  # RFC 6750 section 3


def error(
    status: int,
    message: str,
    code: str = "",
    param: str | None = None,
    *,
    headers: dict[str, str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> web.Response:
    """The envelope. `code` is a word for programs; the status' own name where none is given."""
    body: dict[str, Any] = {
        "message": message,
        "type": TYPES.get(status, "server" if status >= 500 else "invalid_request"),
        "code": code or HTTPStatus(status).name.lower(),
        "param": param,
    }
    if metadata is not None:
        body["metadata"] = dict(metadata)
    told = HEADERS | (CHALLENGE if status == HTTPStatus.UNAUTHORIZED else {}) | (headers or {})
    response = web.json_response({"error": body}, status=status, headers=told)
    response[TOLD] = body
    return response


def _wants_problem(accept: Sequence[str]) -> bool:
    """Whether problem details are named, and no less liked than JSON (RFC 9110 section 12.5.1)."""
    liked: dict[str, float] = {}
    for wish in ",".join(accept)[:MOST_ACCEPTED].split(","):
        media, *parameters = (part.strip().lower() for part in wish.split(";"))
        quality = next((each[2:] for each in parameters if each.startswith("q=")), "1")
        liked[media] = float(quality) if re.fullmatch(r"[01](\.\d{0,3})?", quality) else 0.0
    return liked.get(PROBLEM, 0.0) > 0 and liked[PROBLEM] >= liked.get("application/json", 0.0)


def _as_problem(request: web.Request, response: web.Response) -> web.Response:
    """The same as problem details, where they are asked for."""
    body = response.get(TOLD)
    if body is None or not _wants_problem(request.headers.getall("Accept", ())):
        return response
    problem = {
        "type": f"urn:telebot:error:{body['code']}",
        "title": HTTPStatus(response.status).phrase,
        "status": response.status,
        "detail": body["message"],
        **{name: body[name] for name in ("code", "param", "metadata") if body.get(name)},
    }
    response.body = orjson.dumps(problem)
    response.content_type = PROBLEM
    return response


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever a handler raises into the envelope."""
    try:
        return await handler(request)
    except web.HTTPException as raised:
        if raised.status < HTTPStatus.BAD_REQUEST:
            raise
        told = of_http(raised)
    except TelebotError as raised:
        told = _ours(raised)
    except ConnectionError:
        raise  # nobody is there to be told
    except Exception:  # the boundary of a request's task
        log.exception("request_failed", method=request.method, route=_route(request))
        told = error(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; it is in its log.")
    return _as_problem(request, told)


def of_api(raised: ApiError) -> web.Response:
    """An error of the API."""
    later = raised.retry_after_s
    headers = None if later is None else {"Retry-After": str(max(1, math.ceil(later)))}
    return error(
        raised.status,
        str(raised),
        raised.code,
        raised.param,
        headers=headers,
        metadata=raised.metadata,
    )


def of_http(raised: web.HTTPException) -> web.Response:
    """An error of aiohttp's."""
    default = f"{raised.status}: {raised.reason}"
    message = raised.text if raised.text and raised.text != default else raised.reason
    headers = {name: value for name, value in raised.headers.items() if name == "Allow"}
    response = error(raised.status, message or "", headers=headers)
    if raised.keep_alive is False:
        response.force_close()
    return response


def _ours(raised: TelebotError) -> web.Response:
    if isinstance(raised, ApiError):
        return of_api(raised)
    for kind, status, code, message in STATUSES:
        if isinstance(raised, kind):
            return error(status, message.format(raised) or str(raised), code)
    log.error("request_failed", error=type(raised).__name__)
    return error(HTTPStatus.INTERNAL_SERVER_ERROR, "The server failed; it is in its log.")


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource else ""
