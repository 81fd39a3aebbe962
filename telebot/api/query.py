"""Query parameters and bodies, checked: a wrong part is answered with its name and the reason."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, TypeVar

import orjson
from aiohttp import web
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from telebot.call.errors import ApiError
from telebot.call.model import Result, State
from telebot.models import LazyModel
from telebot.records.reading import CallFilter

Q = TypeVar("Q", bound=BaseModel)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]|\Z)")
MOST_DEPTH = 64
MAX_BODY_BYTES = 64 * 1024
BODY_WITHIN_S = 10.0


def _plus(value: Any) -> Any:
    """A `+` that was not written as %2B arrives as a space."""
    return f"+{value[1:]}" if isinstance(value, str) and value[:1] == " " else value


def _zone_plus(value: Any) -> Any:
    return re.sub(r" (\d\d:?\d\d)\Z", r"+\1", value) if isinstance(value, str) else value


def _written(value: Any) -> Any:
    """A date, or a date and a time: no number of seconds."""
    if isinstance(value, int | float) or (isinstance(value, str) and not _MOMENT.match(value)):
        raise ValueError("write it like 2026-01-31T12:00:00Z")
    return value


def _day(value: Any) -> Any:
    """Read here: a strict date of JSON that a validator has looked at is a text to pydantic."""
    written = _written(value)
    return date.fromisoformat(written) if isinstance(written, str) else written


def _utc(value: datetime) -> datetime:
    try:
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("must not hold control characters")
    return value


Text = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_printable)]
Number = Annotated[Text, BeforeValidator(_plus)]
# validators that go before the type's own are called in the order from right to left
Moment = Annotated[
    datetime, BeforeValidator(_written), BeforeValidator(_zone_plus), AfterValidator(_utc)
]
When = Annotated[datetime, AfterValidator(_utc)]  # in a body
Day = Annotated[date, BeforeValidator(_day)]
Cursor = Annotated[str, Field(min_length=1, max_length=256)]


class CallQuery(LazyModel):
    """Parameters of `GET /v1/calls`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(50, ge=1, le=200, description="calls a page")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before")
    carrier: Text | None = Field(None, description="e.g. twilio")
    direction: Literal["inbound", "outbound"] | None = Field(None, description="who called")
    agent: Text | None = Field(None, description="the agent that answered")
    state: Literal[tuple(State)] | None = Field(None, description="where the call is")  # type: ignore[valid-type]
    result: Literal[tuple(Result)] | None = Field(None, description="how it ended")  # type: ignore[valid-type]
    reason: Text | None = Field(None, description="why it ended, e.g. caller_hangup")
    phone_from: Number | None = Field(None, alias="from", description="the caller's number")
    phone_to: Number | None = Field(None, alias="to", description="the number called")
    since: Moment | None = Field(None, description="started at or after (RFC 3339; UTC if bare)")
    until: Moment | None = Field(None, description="started before")
    q: Text | None = Field(None, description="words said, part of a number or of the carrier's id")

    def filter(self) -> CallFilter:
        """What the records understand of it."""
        return CallFilter(**self.model_dump(exclude={"limit", "cursor"}))


class EventQuery(LazyModel):
    """Parameters of `GET /v1/calls/{id}/events`."""

    model_config = ConfigDict(extra="forbid")

    limit: int = Field(200, ge=1, le=1000, description="events a page")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before")


def parsed(model: type[Q], request: web.Request) -> Q:
    """The query of a request as `model`. Raises `ApiError` (400)."""
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise ApiError(400, "repeated_parameter", f"{name}: given more than once.", name[:64])
        values[name] = value
    return valid(model, values)


async def body_of(request: web.Request, most: int = MAX_BODY_BYTES) -> bytes:
    """The body of a request. Raises `ApiError` (400, 408, 413)."""
    body = bytearray()
    if (request.content_length or 0) > most:
        raise ApiError(413, "too_large", f"More than {most} bytes.")
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > most:
                    raise ApiError(413, "too_large", f"More than {most} bytes.")
    except TimeoutError:
        raise ApiError(408, "too_slow", "The body took too long.") from None
    except (web.RequestPayloadError, web.PayloadAccessError):
        raise ApiError(400, "broken_body", "The body is broken.") from None
    return bytes(body)


def read(model: type[Q], body: bytes) -> Q:
    """A JSON body as `model`. Raises `ApiError` (400)."""
    try:
        tree = orjson.loads(body)
    except ValueError:
        raise ApiError(400, "invalid_json", "Send a JSON object.") from None
    if not isinstance(tree, dict):
        raise ApiError(400, "invalid_json", "Send a JSON object.")
    return valid(model, tree, texts=False)


def strictly(model: type[Q], values: dict[str, Any]) -> Q:
    """What came as JSON as `model`. Raises pydantic's ValidationError, and `ApiError` (400)."""
    if not shallow(values):
        raise ApiError(400, "invalid_json", f"More than {MOST_DEPTH} levels deep.")
    whole = {name: _number(value) for name, value in values.items()}
    return model.model_validate_json(orjson.dumps(whole), strict=True)


def shallow(tree: Any) -> bool:
    """Whether it is no deeper than anything that is asked here; code that walks a tree would fail
    on one that is."""
    level, depth = [tree], 0
    while level:
        if (depth := depth + 1) > MOST_DEPTH:
            return False
        level = [
            inner
            for node in level
            if isinstance(node, dict | list)
            for inner in (node.values() if isinstance(node, dict) else node)
        ]
    return True


def _number(value: Any) -> Any:
    """JSON knows no integers: 3.0 is one too (RFC 8259 section 6)."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    return value


def valid(model: type[Q], values: Any, *, texts: bool = True) -> Q:
    """Parameters as `model`. What came as JSON (not `texts`) is taken at its word: "1" is no
    number there. Raises `ApiError` (400) that names the first one at fault."""
    try:
        return model.model_validate(values) if texts else strictly(model, values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        name = ".".join(str(part) for part in first["loc"])[:64]
        why = "no such parameter" if first["type"] == "extra_forbidden" else first["msg"]
        why = why.removeprefix("Value error, ")
        if not first["loc"]:  # of all of them together
            raise ApiError(400, "invalid_parameter", f"{why[:1].upper()}{why[1:]}.") from None
        raise ApiError(400, "invalid_parameter", f"{name}: {why}.", name) from None
