"""`/openapi.json` (OpenAPI 3.1, from the endpoints and the models that validate and answer) and
`/docs`, a reader of it that needs nothing from outside.

https://spec.openapis.org/oas/v3.1.1.html
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from telebot.api.answers import PROBLEM, ErrorAnswer, Problem
from telebot.api.calls import EVENTS, Endpoint

Mode = Literal["validation", "serialization"]
References = Mapping[tuple[type[Any], Mode], dict[str, Any]]

LIMITED = ("/v1/voice/", "/v1/audio/")  # whose requests are counted, and cost
_SCHEMA = "#/components/schemas/"
_STATIC = Path(__file__).parent / "static"
_PAGES = {
    "/docs": ("docs.html", "text/html"),
    "/docs/docs.css": ("docs.css", "text/css"),
    "/docs/docs.js": ("docs.js", "text/javascript"),
}
_PROTECT = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_REASONS = {
    400: "A parameter is wrong; `param` says which",
    401: "No key, or one that is unknown or revoked",
    402: "The budget of the key is used up",
    403: "A key that may not do this",
    404: "There is no such thing",
    408: "The body took too long",
    409: "Not in the state the call or the server is in; `code` says why",
    413: "The body is too large",
    415: "A body of a kind that is not read here",
    422: "It cannot be done with what was sent; `code` says why",
    426: "Only for sockets",
    429: "Too many; later perhaps",
    502: "The carrier, or no provider, did it",
    503: "The database does not answer, or no more is taken",
    504: "What was to be fetched did not come in time",
}
_TOLD_WITH = {  # headers of failures
    401: (("WWW-Authenticate", "the kind of key that is wanted"),),
    429: (("Retry-After", "seconds"),),
}
_COUNTED = (
    ("x-ratelimit-limit-requests", "requests a minute that the key may make"),
    ("x-ratelimit-remaining-requests", "how many are left"),
    ("x-ratelimit-reset-requests", "until when, e.g. `12.5s`"),
)


@dataclass(frozen=True, slots=True)
class Socket:
    """A WebSocket, whose route is somebody else's. OpenAPI tells no more of one than how it is
    opened; `page` tells what is said on it."""

    path: str
    summary: str
    page: str


def setup(
    app: web.Application,
    endpoints: Sequence[Endpoint],
    version: str,
    sockets: Sequence[Socket] = (),
) -> None:
    """Add `/openapi.json` and `/docs`; both are public, like the names in them. Raises ValueError
    where the application has a route under `/v1` that is not described."""
    described = {(point.method, point.path) for point in endpoints}
    described |= {("GET", socket.path) for socket in sockets}
    if unknown := _undescribed(app, described):
        raise ValueError(f"not described: {', '.join(sorted(unknown))}")
    app.router.add_get("/openapi.json", _Whole(endpoints, version, sockets).page)
    for path, (file, media_type) in _PAGES.items():
        app.router.add_get(path, _page((_STATIC / file).read_text("utf-8"), media_type))


class _Whole:
    """The document, made when it is first asked for: a third of a second, in a thread beside the
    calls. Few servers are ever asked, and every start would pay for it."""

    def __init__(
        self, endpoints: Sequence[Endpoint], version: str, sockets: Sequence[Socket]
    ) -> None:
        self._made_of = endpoints, version, sockets
        self._body = b""
        self._making = asyncio.Lock()

    async def page(self, _: web.Request) -> web.Response:
        async with self._making:
            if not self._body:
                self._body = await asyncio.to_thread(self._make)
        return web.Response(body=self._body, content_type="application/json", headers=_PROTECT)

    def _make(self) -> bytes:
        return orjson.dumps(document(*self._made_of))


def _undescribed(app: web.Application, described: Set[tuple[str, str]]) -> set[str]:
    return {
        f"{route.method} {path}"
        for route in app.router.routes()
        if (path := route.resource.canonical if route.resource else "").startswith("/v1/")
        and route.method != "HEAD"
        and (route.method, path) not in described
    }


def document(
    endpoints: Sequence[Endpoint], version: str, sockets: Sequence[Socket] = ()
) -> dict[str, Any]:
    """The OpenAPI document."""
    references, schemas = _schemas(endpoints)
    paths: dict[str, dict[str, Any]] = {}
    for point in endpoints:
        operation = _operation(point, references)
        paths.setdefault(point.path, {})[point.method.lower()] = operation
    for socket in sockets:
        paths[socket.path] = {"get": _opening(socket)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "telebot", "version": version},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {str(status): _failure(status, references) for status in _REASONS},
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas(endpoints: Sequence[Endpoint]) -> tuple[References, dict[str, Any]]:
    """Every shape that is sent or answered, and where each stands."""
    answered = {point.answers for point in endpoints if isinstance(point.answers, type)}
    sent = {model for point in endpoints for model in (point.body, point.form) if model}
    wanted: list[tuple[type[BaseModel], Mode]] = []
    for model in answered:
        wanted.append((model, "serialization"))
    read: set[type[BaseModel]] = {*sent, ErrorAnswer, Problem}
    for model in read:  # a failure has only those of its fields that tell something
        wanted.append((model, "validation"))
    found, defined = models_json_schema(
        sorted(wanted, key=lambda one: (one[0].__name__, one[1])),
        ref_template=f"{_SCHEMA}{{model}}",
    )
    schemas = dict(defined["$defs"])
    _close(schemas)
    for model in {point.form for point in endpoints if point.form}:
        schemas[_form_name(model)] = _form(schemas[_last(found[model, "validation"])])
    return found, schemas


def _close(schema: Any) -> None:
    """Names of a mapping that have a pattern have no other: pydantic leaves that open."""
    if isinstance(schema, dict):
        if "patternProperties" in schema:
            schema["additionalProperties"] = False
        for inner in schema.values():
            _close(inner)
    elif isinstance(schema, list):
        for inner in schema:
            _close(inner)


def _operation(point: Endpoint, references: References) -> dict[str, Any]:
    answers = _answer(point, references)
    for status in _failures(point):
        answers[str(status)] = {"$ref": f"#/components/responses/{status}"}
    told: dict[str, Any] = {
        "operationId": _name(point),
        "summary": point.summary,
        "description": f"Needs a key of scope `{point.scope.value}`."
        if point.scope
        else "Needs no key.",
        "tags": [point.path.split("/")[2]],
        "parameters": _parameters(point),
        "responses": dict(sorted(answers.items())),
    }
    if point.scope is None:
        told["security"] = [{}, {"key": []}]
    if content := _bodies(point, references):
        told["requestBody"] = {"required": not point.bare, "content": content}
    return told


def _opening(socket: Socket) -> dict[str, Any]:
    refused = {str(s): {"$ref": f"#/components/responses/{s}"} for s in (400, 401, 403, 429, 503)}
    words = re.findall(r"\w+", socket.path)[1:]
    return {
        "operationId": "_".join(["open", *words]),
        "summary": socket.summary,
        "description": f"A WebSocket; what is said on it: {socket.page}.",
        "tags": [words[0]],
        "parameters": [],
        "responses": {"101": {"description": "It is open"}, **refused},
        "x-websocket": True,
    }


def _name(point: Endpoint) -> str:
    """Of an operation: its method and path, which no other has."""
    return "_".join([point.method.lower(), *re.findall(r"\w+", point.path)[1:]])


def _parameters(point: Endpoint) -> list[dict[str, Any]]:
    text = {"type": "string", "minLength": 1}
    listed = [
        {"name": part, "in": "path", "required": True, "schema": text}
        for part in re.findall(r"{(\w+)}", point.path)
    ]
    if point.query is not None:
        listed += _queried(point.query)
    listed += [
        {"name": name, "in": "header", "description": why, "schema": text}
        for name, why in point.headers
    ]
    return listed


def _queried(query: type[BaseModel]) -> list[dict[str, Any]]:
    whole = query.model_json_schema()
    required = whole.get("required", ())
    listed = []
    for parameter, found in whole["properties"].items():
        schema = _plain(found)
        told = {"description": schema.pop("description", ""), "required": parameter in required}
        listed.append({"name": parameter, "in": "query", **told, "schema": schema})
    return listed


def _plain(schema: dict[str, Any]) -> dict[str, Any]:
    """A field where `null` cannot be written: what may be absent is so by being absent."""
    plain = {key: value for key, value in schema.items() if key != "title"}
    if "anyOf" in plain:
        kinds = [part for part in plain.pop("anyOf") if part != {"type": "null"}]
        plain = (kinds[0] if len(kinds) == 1 else {"anyOf": kinds}) | plain
    if plain.get("default", ...) is None:
        del plain["default"]
    return plain


def _bodies(point: Endpoint, references: References) -> dict[str, dict[str, Any]]:
    content: dict[str, dict[str, Any]] = {}
    if point.form is not None:
        content["multipart/form-data"] = {"schema": {"$ref": _SCHEMA + _form_name(point.form)}}
    if point.body is not None:
        content["application/json"] = {"schema": references[point.body, "validation"]}
    return content


def _form_name(model: type[BaseModel]) -> str:
    return model.__name__ if model.__name__.endswith("Form") else f"{model.__name__}Form"


def _form(whole: dict[str, Any]) -> dict[str, Any]:
    """The same fields beside a `file`: lists are named with ``[]``, objects are JSON inside."""
    fields: dict[str, Any] = {
        "file": {"type": "string", "format": "binary", "description": "the recording"}
    }
    for name, found in whole["properties"].items():
        if name not in _SENT_WITHOUT_FILE:
            field = _plain(found)
            fields[f"{name}[]" if field.get("type") == "array" else name] = field
    told = {key: whole[key] for key in ("description", "additionalProperties") if key in whole}
    required = ["file", *whole.get("required", ())]
    return told | {"type": "object", "properties": fields, "required": required}


_SENT_WITHOUT_FILE = ("audio", "url")  # the recording by other ways


def _answer(point: Endpoint, references: References) -> dict[str, Any]:
    if point.answers is None:
        status = 204 if point.status == 200 else point.status
        return {str(status): {"description": point.summary}}
    if isinstance(point.answers, str):
        content = {point.answers: _BINARY}
    else:
        content = {"application/json": {"schema": references[point.answers, "serialization"]}}
    content |= {media: _EVENTS if media == EVENTS else _BINARY for media in point.also}
    told = {"description": point.summary, "content": content}
    headers = _headers((*point.tells, *(_COUNTED if point.path.startswith(LIMITED) else ())))
    answers = {str(point.status): told | ({"headers": headers} if headers else {})}
    if point.ranges:
        answers["206"] = {"description": "The part that Range asked for", "content": content}
        answers["416"] = {"description": "The Range lies outside"}
    return answers


_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_EVENTS: dict[str, Any] = {  # each of them
    "schema": {
        "type": "object",
        "description": "server-sent events; the last one is `done` or `error`",
        "properties": {
            "event": {"type": "string"},
            "data": {"type": "string", "contentMediaType": "application/json"},
        },
        "required": ["data"],
    }
}


def _failures(point: Endpoint) -> list[int]:
    """What any request of its kind may meet, and what this one may beside that."""
    found = {429, *point.failures}
    if point.scope is not None:
        found |= {401, 403, 503}
    if point.body is not None or point.form is not None:
        found |= {400, 408, 413}
    if point.query is not None:
        found.add(400)
    if point.method == "POST" and point.path.startswith(LIMITED):
        found.add(402)
    return sorted(found)


def _failure(status: int, references: References) -> dict[str, Any]:
    told = {
        "description": _REASONS[status],
        "content": {
            "application/json": {"schema": references[ErrorAnswer, "validation"]},
            PROBLEM: {"schema": references[Problem, "validation"]},
        },
    }
    headers = _headers(_TOLD_WITH.get(status, ()))
    return told | ({"headers": headers} if headers else {})


def _headers(named: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {name: {"description": why, "schema": {"type": "string"}} for name, why in named}


def _last(reference: dict[str, Any]) -> str:
    return str(reference["$ref"]).rpartition("/")[2]


def _page(text: str, media_type: str) -> Any:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=media_type, charset="utf-8", headers=_PROTECT)

    return page
