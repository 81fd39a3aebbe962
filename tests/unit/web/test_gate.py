"""The gate before `/v1`, and the envelope in which it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from telebot.api.answers import ErrorAnswer
from telebot.call.errors import ApiError, BadRequest, NotAuthentic, ProviderBusy, Remote
from telebot.records.keys import ApiKey, NoKey, Scope, WrongScope
from telebot.records.store import RecordsAway
from telebot.web.auth import KEY, Gate
from telebot.web.errors import errors

pytestmark = pytest.mark.unit


class Keys:
    """One key of scope operator; a database that can go away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.asked = 0

    async def check(self, secret: str | None, wanted: Scope) -> ApiKey:
        self.asked += 1
        if self.away:
            raise RecordsAway("OperationalError")
        if secret != "tb_good":
            raise NoKey("unknown key")
        return ApiKey("id", "tests", Scope.OPERATOR, "created", datetime.now(UTC), None, None)


async def asked(gate: Gate, path: str, key: str | None = None, wanted: Scope | None = None):
    """(status, envelope or None, headers) of a request to a handler that wants a scope."""

    async def handler(request: web.Request) -> web.Response:
        if wanted is not None:
            gate.authorize(request, wanted)
        return web.Response(text="with a key" if KEY in request else "without")

    async def inner(request: web.Request) -> web.StreamResponse:
        return await gate.middleware(request, handler)

    headers = {"Authorization": key} if key is not None else {}
    response = await errors(make_mocked_request("GET", path, headers=headers), inner)
    body = json.loads(response.body) if response.status >= 400 else None
    return response.status, body, response


@pytest.mark.parametrize(
    "key", [None, "", "Bearer", "Bearer ", "Basic dGI=", "Bearer tb_bad", "tb_good", "Bearer é"]
)
@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/calls", "/v1/no/such/thing"])
async def test_without_a_good_key_everything_under_v1_is_401(key: str | None, path: str) -> None:
    status, body, response = await asked(Gate(Keys()), path, key)
    assert status == 401
    assert ErrorAnswer.model_validate(body, extra="forbid").error.type == "authentication"
    assert body["error"]["code"] == "no_key"
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="telebot"'
    assert response.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("key", ["Bearer tb_good", "bearer  tb_good "])
async def test_a_good_key_is_asked_for_once(key: str) -> None:
    keys = Keys()
    status, _, response = await asked(Gate(keys), "/v1/calls", key, Scope.OPERATOR)
    assert (status, response.text, keys.asked) == (200, "with a key", 1)


async def test_a_key_of_too_small_a_scope_is_told_which_it_takes() -> None:
    status, body, _ = await asked(Gate(Keys()), "/v1/calls", "Bearer tb_good", Scope.ADMIN)
    assert status == 403
    assert body["error"] == {
        "message": "This needs a key of scope admin.",
        "type": "permission",
        "code": "wrong_scope",
        "param": None,
    }


@pytest.mark.parametrize("path", ["/health/live", "/v10", "/twilio/voice", "/console/v1/"])
async def test_other_paths_need_no_key(path: str) -> None:
    keys = Keys(away=True)
    assert (await asked(Gate(keys), path))[0] == 200
    assert keys.asked == 0


async def test_a_database_that_is_away_is_no_bad_gateway() -> None:
    status, body, _ = await asked(Gate(Keys(away=True)), "/v1/calls", "Bearer tb_good")
    assert (status, body["error"]["code"], body["error"]["type"]) == (503, "records_away", "server")


@pytest.mark.parametrize("away", [False, True])
async def test_an_open_path_is_answered_without_a_key_too(away: bool) -> None:
    gate = Gate(Keys(away=away), frozenset({"/v1/open"}))
    status, _, response = await asked(gate, "/v1/open")
    assert (status, response.text) == (200, "without")
    assert (await asked(gate, "/v1/open", wanted=Scope.VIEWER))[0] == 401
    assert (await asked(gate, "/v1/open/more"))[0] == (503 if away else 401)


async def test_an_open_path_knows_a_key_where_there_is_one() -> None:
    gate = Gate(Keys(), frozenset({"/v1/open"}))
    assert (await asked(gate, "/v1/open", "Bearer tb_good"))[2].text == "with a key"


@pytest.mark.parametrize(
    ("raised", "status", "kind", "code", "param"),
    [
        (ApiError(409, "call_live", "It is up.", "id"), 409, "invalid_request", "call_live", "id"),
        (NoKey("no key"), 401, "authentication", "no_key", None),
        (WrongScope("needs more"), 403, "permission", "wrong_scope", None),
        (RecordsAway("x"), 503, "server", "records_away", None),
        (NotAuthentic("no signature"), 403, "permission", "forbidden", None),
        (BadRequest("no body"), 400, "invalid_request", "bad_request", None),
        (ProviderBusy("full"), 503, "server", "service_unavailable", None),
        (Remote("theirs"), 502, "server", "bad_gateway", None),
        (web.HTTPNotFound(), 404, "not_found", "not_found", None),
        (web.HTTPMethodNotAllowed("PUT", ["GET"]), 405, "invalid_request", None, None),
        (RuntimeError("ours"), 500, "server", "internal_server_error", None),
    ],
)
async def test_every_error_is_the_envelope_that_is_described(raised, status, kind, code, param):
    async def handler(_: web.Request) -> web.Response:
        raise raised

    response = await errors(make_mocked_request("GET", "/x"), handler)
    told = ErrorAnswer.model_validate_json(response.body, extra="forbid").error
    assert (response.status, told.type, told.param) == (status, kind, param)
    assert told.code == (code or "method_not_allowed")
    assert told.message
