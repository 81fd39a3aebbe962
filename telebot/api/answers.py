"""What the API answers: JSON under public names, and the envelope of its errors, which the edge
writes (`web/errors.py`)."""

from __future__ import annotations

from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, Field

from telebot.models import LazyModel

PROBLEM = "application/problem+json"
PRIVATE = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class ErrorBody(LazyModel):
    """What went wrong."""

    message: str = Field(description="for people")
    type: str = Field(description="invalid_request, authentication, permission, not_found, server")
    code: str = Field(description="for programs")
    param: str | None = Field(description="the parameter at fault")
    metadata: dict[str, Any] | None = Field(
        None, description="who was asked and what came of it; only where there is something to tell"
    )


class ErrorAnswer(LazyModel):
    """The answer to every request that failed."""

    error: ErrorBody


class Problem(LazyModel):
    """The same as problem details (RFC 9457), for who asks for them by `Accept`."""

    type: str = Field(description="a URN that ends with the error's `code`")
    title: str = Field(description="of the status")
    status: int
    detail: str = Field(description="for people")
    code: str = Field(description="for programs")
    param: str | None = Field(None, description="the parameter at fault")
    metadata: dict[str, Any] | None = None


def answer(value: BaseModel, status: int = 200) -> web.Response:
    """`value` as JSON, under the names the outside knows."""
    body = orjson.dumps(value.model_dump(by_alias=True))
    return web.Response(body=body, status=status, content_type="application/json", headers=PRIVATE)
