"""`/openapi.json` (OpenAPI 3.1, from the endpoints and the shapes of their answers) and `/docs`, a
reader of it that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from telebot.api.answers import ErrorAnswer
from telebot.api.calls import Endpoint

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
    403: "A key that may not do this",
    404: "There is no such thing",
    408: "The body took too long",
    409: "Not in the state the call or the server is in; `code` says why",
    413: "The body is too large",
    415: "Neither a form nor JSON",
    422: "It cannot be done with what was sent; `code` says why",
    429: "Too many; later perhaps",
    502: "The carrier, or no provider, did it",
    504: "What was to be fetched did not come in time",
    503: "The database does not answer, or no more calls are taken",
}


def setup(app: web.Application, endpoints: Sequence[Endpoint], version: str) -> None:
    """Add `/openapi.json` and `/docs`; both are public, like the names in them."""
    body = orjson.dumps(document(endpoints, version))

    async def openapi(_: web.Request) -> web.Response:
        return web.Response(body=body, content_type="application/json", headers=_PROTECT)

    app.router.add_get("/openapi.json", openapi)
    for path, (file, media_type) in _PAGES.items():
        app.router.add_get(path, _page((_STATIC / file).read_text("utf-8"), media_type))


def document(endpoints: Sequence[Endpoint], version: str) -> dict[str, Any]:
    """The OpenAPI document."""
    shapes = {point.answers for point in endpoints if isinstance(point.answers, type)}
    models = sorted(shapes | {ErrorAnswer}, key=lambda model: model.__name__)
    bodies = sorted({point.body for point in endpoints if point.body}, key=lambda it: it.__name__)
    _, schemas = models_json_schema(
        [
            *((model, "serialization") for model in models),
            *((model, "validation") for model in bodies),
        ],
        ref_template="#/components/schemas/{model}",
    )
    paths: dict[str, dict[str, Any]] = {}
    for point in endpoints:
        paths.setdefault(point.path, {})[point.method.lower()] = _operation(point)
    return {
        "openapi": "3.1.0",
        "info": {"title": "telebot", "version": version},
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(point: Endpoint) -> dict[str, Any]:
    parameters = [
        {"name": part, "in": "path", "required": True, "schema": {"type": "string"}}
        for part in ("id",)
        if f"{{{part}}}" in point.path
    ]
    if point.query is not None:
        parameters += _parameters(point.query)
    parameters += [
        {"name": name, "in": "header", "description": why, "schema": {"type": "string"}}
        for name, why in point.headers
    ]
    responses = _answer(point)
    for status in (*point.failures, 401, 403, 503):
        responses[str(status)] = {
            "description": _REASONS[status],
            "content": _json(ErrorAnswer),
        }
    body = {"requestBody": {"required": True, "content": _json(point.body)}} if point.body else {}
    return body | {
        "operationId": f"{point.handler.__name__}",
        "summary": point.summary,
        "description": f"Needs a key of scope `{point.scope.value}`."
        if point.scope
        else "Needs no key.",
        "tags": [point.path.split("/")[2]],
        "parameters": parameters,
        "responses": dict(sorted(responses.items())),
    }


def _answer(point: Endpoint) -> dict[str, Any]:
    if point.answers is None:
        return {"204": {"description": "Done"}}
    if isinstance(point.answers, str):
        whole = {point.answers: {"schema": {"type": "string", "format": "binary"}}}
        return {
            "200": {"description": point.summary, "content": whole},
            "206": {"description": "The part that Range asked for", "content": whole},
            "416": {"description": "The Range lies outside"},
        }
    return {str(point.status): {"description": point.summary, "content": _json(point.answers)}}


def _json(model: type[BaseModel]) -> dict[str, Any]:
    reference = f"#/components/schemas/{model.__name__}"
    return {"application/json": {"schema": {"$ref": reference}}}


def _parameters(query: type[BaseModel]) -> list[dict[str, Any]]:
    properties = query.model_json_schema()["properties"]
    listed = []
    for parameter, found in properties.items():
        schema = {key: value for key, value in found.items() if key != "title"}
        description = schema.pop("description", "")
        if "anyOf" in schema:  # optional: absent is allowed, `null` cannot be written in a query
            schema = next(part for part in schema["anyOf"] if part != {"type": "null"})
        if schema.get("default", ...) is None:
            del schema["default"]
        listed.append(
            {"name": parameter, "in": "query", "description": description, "schema": schema}
        )
    return listed


def _page(text: str, media_type: str) -> Any:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=media_type, charset="utf-8", headers=_PROTECT)

    return page
