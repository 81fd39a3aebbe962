"""Recordings by URL: from real servers, and never from where only the operator may go."""

from __future__ import annotations

import socket

import pytest
from aiohttp import web

from telebot.call.errors import ApiError
from telebot.voice.fetching import Fetcher

pytestmark = pytest.mark.peers

HOST = "127.0.0.1"
MOST = 100_000


@pytest.fixture
async def server():
    """Serves what a test asks for by its path; counts."""
    asked = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.path)
        match request.path:
            case "/good":
                return web.Response(body=b"sound", content_type="audio/ogg")
            case "/large":
                return web.Response(body=bytes(MOST + 1))
            case "/endless":
                response = web.StreamResponse()
                await response.prepare(request)
                for _ in range(100):
                    await response.write(bytes(10_000))
                return response
            case "/round":
                raise web.HTTPFound("/round")
            case "/moved":
                raise web.HTTPFound("/good")
            case "/inside":
                raise web.HTTPFound("http://127.0.0.2:1/secret")
            case "/meta":
                raise web.HTTPFound("http://169.254.169.254/latest/meta-data")
            case "/file":
                raise web.HTTPFound("file:///etc/passwd")
        raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/{tail:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    yield f"http://{HOST}:{runner.addresses[0][1]}", asked
    await runner.cleanup()


@pytest.fixture
async def listed():
    fetcher = Fetcher([HOST], most_bytes=MOST)
    yield fetcher
    await fetcher.close()


@pytest.fixture
async def strict():
    fetcher = Fetcher(most_bytes=MOST)
    yield fetcher
    await fetcher.close()


async def refused(fetcher: Fetcher, url: str) -> ApiError:
    with pytest.raises(ApiError) as raised:
        await fetcher.fetch(url)
    return raised.value


@pytest.mark.parametrize("path", ["/good", "/moved"])
async def test_a_recording_comes_with_its_type(server, listed, path):
    url, _ = server
    assert await listed.fetch(url + path) == (b"sound", "audio/ogg")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/none", 422, "url_unreachable"),
        ("/large", 413, "too_large"),
        ("/endless", 413, "too_large"),
        ("/round", 422, "url_unreachable"),
        ("/inside", 400, "url_forbidden"),
        ("/meta", 400, "url_forbidden"),
        ("/file", 400, "invalid_parameter"),
    ],
)
async def test_what_is_not_as_it_should_be_is_refused(server, listed, path, status, code):
    url, _ = server
    error = await refused(listed, url + path)
    assert (error.status, error.code, error.param) == (status, code, "url")


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "2130706433",
        "0x7f000001",
        "127.1",
        "127。0。0。1",  # what Unicode takes for dots and digits (UTS 46)
        "127｡0.0.1",
        "①②⑦.0.0.1",
        "１２７.0.0.1",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fd00::1]",
        "224.0.0.1",
    ],
)
async def test_nothing_of_the_operators_own_is_fetched(server, strict, host):
    url, asked = server
    port = url.rpartition(":")[2]
    error = await refused(strict, f"http://{host}:{port}/good")
    assert error.code in ("url_forbidden", "url_unreachable")
    assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "ftp://example.com/x",
        "file:///etc/passwd",
        "gopher://x",
        "http://",
        "//example.com/x",
        "http://user:secret@example.com/x",
        "http://example.com/" + "x" * 3000,
        "",
    ],
)
async def test_a_url_that_is_none_is_refused(strict, url):
    error = await refused(strict, url)
    assert error.status == 400
    assert "secret" not in str(error)


async def test_what_came_packed_is_not_unpacked(listed):
    """A few bytes could hold gigabytes; nothing packed was asked for."""
    import gzip

    packed = gzip.compress(bytes(10 * MOST))

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=packed, headers={"Content-Encoding": "gzip"})

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, HOST, 0).start()
    try:
        body, _ = await listed.fetch(f"http://{HOST}:{runner.addresses[0][1]}/")
        assert body == packed
    finally:
        await runner.cleanup()


async def test_a_name_that_changes_its_mind_is_judged_where_it_connects(
    server, strict, monkeypatch
):
    """The resolver's own answer is what is connected to: there is no second look-up."""
    url, asked = server
    real = socket.getaddrinfo

    def look_up(host, port=0, *args, **kwargs):
        return real(HOST if host == "public.example" else host, port, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    port = url.rpartition(":")[2]
    error = await refused(strict, f"http://public.example:{port}/good")
    assert (error.code, asked) == ("url_forbidden", [])
