"""Every error of the API in one envelope: ``{"error": {"message", "type", "code", "param"}}``."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, Field

from telebot.call.errors import Local
from telebot.records.keys import NoKey, WrongScope
from telebot.records.store import RecordsAway


class ErrorBody(BaseModel):
    """What went wrong."""

    message: str = Field(description="for people")
    type: str = Field(description="invalid_request, authentication, permission, not_found, server")
    code: str = Field(description="for programs")
    param: str | None = Field(description="the parameter at fault")


class ErrorAnswer(BaseModel):
    """The answer to every request that failed."""

    error: ErrorBody


class ApiError(Local):
    """A request that cannot be answered as asked."""

    def __init__(self, status: int, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param


_TYPES = {401: "authentication", 403: "permission", 404: "not_found"}


def answer(value: BaseModel) -> web.Response:
    """`value` as JSON, under the names the outside knows."""
    body = orjson.dumps(value.model_dump(by_alias=True))
    return web.Response(body=body, content_type="application/json", headers=PRIVATE)


def error_answer(error: Exception) -> web.Response:
    """The envelope of an error this room knows."""
    known = _known(error)
    kind = _TYPES.get(known.status, "server" if known.status >= 500 else "invalid_request")
    body: dict[str, Any] = {
        "message": str(known),
        "type": kind,
        "code": known.code,
        "param": known.param,
    }
    headers = dict(PRIVATE)
    if known.status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="telebot"'  # RFC 6750 section 3
    return web.Response(
        status=known.status,
        body=orjson.dumps({"error": body}),
        content_type="application/json",
        headers=headers,
    )


PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
KNOWN = (ApiError, NoKey, WrongScope, RecordsAway)


def _known(error: Exception) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, NoKey):
        return ApiError(401, "no_key", "Send an API key: Authorization: Bearer KEY.")
    if isinstance(error, WrongScope):
        return ApiError(403, "wrong_scope", f"This {error}.")
    return ApiError(503, "records_away", "The database does not answer; try again shortly.")
