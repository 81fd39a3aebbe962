"""The composition root's own small decisions; the whole of it: `tests/peers/test_app.py`."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog.testing
from aiohttp import web

from telebot import app, outgoing, programs
from telebot.api.calls import Endpoint
from telebot.call.errors import ConfigError
from telebot.call.local_access import load_secret
from telebot.call.model import Call, CallOffer
from telebot.carriers.registry import Carriers
from telebot.config_file import SettingsError
from telebot.records.keys import Scope
from telebot.settings import Settings, load
from telebot.voice_settings import LimitSettings

pytestmark = pytest.mark.unit


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    """How many files this process may open; as it was afterwards."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_as_many_files_as_the_calls_need(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (700, limits[1]))
    app._allow_files(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == app.FILES + 100 * app.FILES_PER_CALL


def test_files_allowed_already_are_not_taken_away(limits: tuple[int, int]) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1500, limits[1]))
    app._allow_files(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1500


def test_fewer_files_than_the_calls_need_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (700, 1000))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: allowed.append(limits))
    with structlog.testing.capture_logs() as logs:
        app._allow_files(5000)
    wanted = app.FILES + 5000 * app.FILES_PER_CALL
    told = {"event": "few_open_files", "allowed": 1000, "wanted": wanted}
    assert logs == [{**told, "log_level": "warning"}]
    assert allowed == [(1000, 1000)]


def settings_of(data: Path, **environ: str) -> Settings:
    return load(environ=environ, overrides={"server.data": str(data)})


def test_only_a_carrier_that_can_puts_a_call_through(tmp_path: Path) -> None:
    environ = {"TWILIO_ACCOUNT_SID": "AC" + "0" * 32, "TWILIO_AUTH_TOKEN": "t"}
    settings = settings_of(tmp_path, **environ)
    of = outgoing.ways(settings, Carriers(settings), {})
    can = {}
    for carrier in ("twilio", "local"):
        offer = CallOffer(carrier, "CA1", "+15550001", "+15550002")
        call = Call("id1", offer, "test", datetime(2026, 11, 20, tzinfo=UTC))
        can[carrier] = (of(call).blind is not None, of(call).warm is not None)
        assert not of(call).allowed("+15550002"), "nobody has allowed it"
    assert can == {"twilio": (True, True), "local": (False, False)}


def test_the_operators_key_signs_where_there_is_one(tmp_path: Path) -> None:
    key = "an operator's key of some length"
    assert programs.secret_key(settings_of(tmp_path, TELEBOT_SECRET_KEY=key)) == key
    assert not (tmp_path / "secret.key").exists()
    made = programs.secret_key(settings_of(tmp_path))
    assert made == programs.secret_key(settings_of(tmp_path)) == load_secret(tmp_path, "secret.key")
    assert len(made) > 40


def test_a_configuration_without_agents_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "agents").mkdir()
    config = tmp_path / "telebot.yaml"
    config.write_text("server:\n  drain_s: 1\n")
    settings = load(config, {}, {"server.data": str(tmp_path / "data")})

    async def start() -> None:
        async with app.running(settings):
            pass

    with pytest.raises(Exception, match="no agents there") as raised:
        asyncio.run(start())
    assert not isinstance(raised.value, ConfigError), "a setting: the command exits with 2"
    assert not (tmp_path / "data").exists()


def test_a_limit_of_an_endpoint_that_is_not_there_is_refused(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.Response()

    endpoints = [Endpoint("POST", "/v1/calls", handler, Scope.OPERATOR, "a call", None)]
    limits = LimitSettings(endpoints={"POST /v1/calls": 1, "/v1/calls": 1})
    settings = settings_of(tmp_path)
    programs.check_endpoints(settings.model_copy(update={"limits": limits}), endpoints)
    wrong = LimitSettings(endpoints={"POST /v1/call": 1})
    with pytest.raises(SettingsError, match="did you mean 'POST /v1/calls'"):
        programs.check_endpoints(settings.model_copy(update={"limits": wrong}), endpoints)
