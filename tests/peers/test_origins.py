"""Pages of other origins: which may use `/v1/voice`, and what their browsers are told."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from telebot.voice_settings import VoiceSettings
from telebot.web.errors import errors
from telebot.web.origins import Origins

pytestmark = pytest.mark.peers

LISTED = "https://app.example"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async def handler(request: web.Request) -> web.Response:
        if request.path.endswith("refused"):
            raise web.HTTPUnauthorized
        return web.json_response({})

    origins = Origins([LISTED], lambda request: f"{request.scheme}://{request.host}")
    app = web.Application(middlewares=[origins.middleware, errors])
    app.on_response_prepare.append(origins.tell)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def told(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str]]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with aiohttp.ClientSession() as http, http.request(method, url, headers=sent) as answer:
        return answer.status, {k: v for k, v in answer.headers.items() if k.startswith("Access")}


async def test_a_listed_page_may(url: str) -> None:
    for path in ("/v1/voice/models", "/v1/audio/speech", "/v1/voice/refused"):
        _, headers = await told(url + path, Origin=LISTED)
        assert headers["Access-Control-Allow-Origin"] == LISTED
        assert "Access-Control-Allow-Credentials" not in headers
    status, headers = await told(
        f"{url}/v1/voice/transcribe", "OPTIONS", Origin=LISTED, Access_Control_Request_Method="POST"
    )
    assert status == 204
    assert "POST" in headers["Access-Control-Allow-Methods"]
    assert "Authorization" in headers["Access-Control-Allow-Headers"]
    status, headers = await told(f"{url}/v1/voice/models", Origin=url)
    assert headers["Access-Control-Allow-Origin"] == url, "this server's own pages may"


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "https://app.example.evil.example", "null", "http://app.example"],
)
async def test_no_other_page_may(url: str, origin: str) -> None:
    _, headers = await told(f"{url}/v1/voice/models", Origin=origin)
    assert headers == {}
    status, headers = await told(
        f"{url}/v1/voice/models", "OPTIONS", Origin=origin, Access_Control_Request_Method="POST"
    )
    assert (status, headers) == (403, {})


async def test_other_paths_are_for_nobody(url: str) -> None:
    for path in ("/v1/calls", "/v1/voicemail", "/console/"):
        _, headers = await told(url + path, Origin=LISTED)
        assert headers == {}


@pytest.mark.parametrize(
    "origin", ["*", "https://app.example/", "app.example", "https://*.example"]
)
def test_a_list_names_each_origin(origin: str) -> None:
    with pytest.raises(ValueError, match="as a browser sends it"):
        VoiceSettings.model_validate({"origins": [origin]})
    assert VoiceSettings.model_validate({"origins": LISTED}).origins == (LISTED,)
