"""The description agrees with the routes, and with the shapes of the answers."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from openapi_spec_validator import OpenAPIV31SpecValidator

from telebot.api import calls, openapi
from telebot.api.control import ControlApi
from telebot.api.query import CallQuery
from telebot.api.steering import SteeringApi
from telebot.records import shape

pytestmark = pytest.mark.unit


def nobody(_request, _wanted) -> None: ...


@pytest.fixture(scope="module")
def described():
    app = web.Application()
    endpoints = calls.setup(
        app,
        nobody,
        calls.CallsApi(None, None),  # type: ignore[arg-type]
        ControlApi(None, None, None, None),  # type: ignore[arg-type]
        SteeringApi(None, None, None, None),  # type: ignore[arg-type]
    )
    openapi.setup(app, endpoints, "1.2.3")
    return app, openapi.document(endpoints, "1.2.3")


def test_every_route_is_described(described):
    app, document = described
    routes = {
        (route.method, route.resource.canonical)
        for route in app.router.routes()
        if route.resource.canonical.startswith("/v1/") and route.method != "HEAD"
    }
    in_document = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert routes == in_document
    assert document["info"] == {"title": "telebot", "version": "1.2.3"}


async def nothing(_request): ...


def test_a_route_that_is_not_described_does_not_start():
    app = web.Application()
    app.router.add_get("/v1/voice/hidden", nothing)
    with pytest.raises(ValueError, match="GET /v1/voice/hidden"):
        openapi.setup(app, [], "1.2.3")
    told = openapi.Socket("/v1/voice/hidden", "Talk", "docs/realtime.md")
    openapi.setup(app, [], "1.2.3", [told])
    document = openapi.document([], "1.2.3", [told])
    OpenAPIV31SpecValidator(document).validate()
    assert document["paths"]["/v1/voice/hidden"]["get"]["responses"]["101"]


async def test_the_document_is_made_once_when_it_is_asked_for(described, monkeypatch):
    app, document = described
    made = []
    monkeypatch.setattr(openapi, "document", lambda *of: made.append(of) or document)
    (route,) = (route for route in app.router.routes() if _path(route) == "/openapi.json"
                and route.method == "GET")  # fmt: skip
    pages = await asyncio.gather(*(route.handler(None) for _ in range(3)))
    assert [json.loads(page.body) for page in pages] == [document] * 3
    assert len(made) == 1


def _path(route):
    return route.resource.canonical


def test_the_document_is_one(described):
    _, document = described
    OpenAPIV31SpecValidator(document).validate()


def test_every_reference_leads_somewhere(described):
    _, document = described
    parts = document["components"]

    def references(node):
        if isinstance(node, dict):
            if "$ref" in node:
                yield node["$ref"]
            for value in node.values():
                yield from references(value)
        elif isinstance(node, list):
            for value in node:
                yield from references(value)

    found = set(references(document))
    assert found
    for reference in found:
        start, kind, name = reference.rsplit("/", 2)
        assert start == "#/components"
        assert name in parts[kind]


def test_parameters_and_fields_have_their_public_names(described):
    _, document = described
    listing = document["paths"]["/v1/calls"]["get"]
    names = [parameter["name"] for parameter in listing["parameters"]]
    assert names == [field.alias or name for name, field in CallQuery.model_fields.items()]
    assert "from" in names
    fields = document["components"]["schemas"]["CallDetail"]["properties"]
    promised = """id carrier carrier_call_id direction from to agent state started_at answered_at
        ended_at duration_s termination cost turns"""
    assert set(promised.split()) <= set(fields)
    assert set(document["components"]["schemas"]["Latency"]["properties"]) == {
        "heard",
        "endpointing",
        "stt",
        "llm_first_token",
        "tts_first_audio",
        "transport",
    }
    assert set(listing["responses"]) == {"200", "400", "401", "403", "429", "503"}
    assert fields["started_at"]["format"] == "date-time"
    assert shape.CallDetail.model_fields["phone_to"].alias == "to"
