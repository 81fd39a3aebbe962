"""An application with a page that talks to a realtime server of another origin, in Chromium.

It has the API key and hands its page one-time tokens; the page may do what its policy says and no
more.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from absent import absent
from aiohttp import web
from browser import Browser, installed
from node import PROGRAMS, STATIC

from telebot.audio import files, resample, wav

MODULE = "telebot-client.js"
POLICY = (
    "default-src 'none'; script-src 'self' {scripts}; connect-src 'self' {socket}; media-src blob:"
)
FAKE_DEVICE = "--use-fake-device-for-media-stream"
SAYS_YES = "--use-fake-ui-for-media-stream"
AFTER_S = 30.0  # of silence after what is said, so that it is said once


@dataclass
class Application:
    url: str
    tokens: int = 0


@asynccontextmanager
async def application(
    server: str, key: str, scripts: str | None = None, port: int = 0, **options: Any
) -> AsyncIterator[Application]:
    """The page at `/`; `options` are the client's. `scripts` is where else it may load scripts
    from; unless that is the server (as usual), the client is a copy of the page's own."""
    scripts = server if scripts is None else scripts
    policy = POLICY.format(socket=server.replace("http", "ws", 1), scripts=scripts)
    client = f"{server}/console/{MODULE}" if server in scripts else f"./{MODULE}"

    def file(folder: Path, name: str, kind: str) -> Any:
        async def answer(_: web.Request) -> web.FileResponse:
            headers = {"Content-Type": kind, "Content-Security-Policy": policy}
            return web.FileResponse(folder / name, headers=headers)

        return answer

    async def about(_: web.Request) -> web.Response:
        return web.json_response({"client": client, "options": options})

    async def token(_: web.Request) -> web.Response:
        one.tokens += 1
        headers = {"Authorization": f"Bearer {key}"}
        url = f"{server}/v1/voice/realtime/session"
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, json={}, headers=headers) as given,
        ):
            return web.json_response(await given.json(), status=given.status)

    app = web.Application()
    app.router.add_get("/", file(PROGRAMS, "page.html", "text/html"))
    app.router.add_get("/page.mjs", file(PROGRAMS, "page.mjs", "text/javascript"))
    app.router.add_get(f"/{MODULE}", file(STATIC, MODULE, "text/javascript"))
    app.router.add_get("/about", about)
    app.router.add_post("/token", token)
    runner = web.AppRunner(app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    host, port = runner.addresses[0][:2]
    one = Application(f"http://{host}:{port}")
    try:
        yield one
    finally:
        await runner.cleanup()


@asynccontextmanager
async def browser(
    folder: Path,
    said: tuple[bytes, int] | None,
    after_s: float = 0.5,
    *,
    allowed: bool = True,
) -> AsyncIterator[Browser]:
    """A browser whose microphone hears `said` (PCM and its rate) once, so long after it opened;
    unless it is `allowed`, nobody is there to say yes to it."""
    if not installed():
        absent("Chromium or its driver is not installed: nobody talks from a page")
    flags = [FAKE_DEVICE, SAYS_YES] if allowed else [FAKE_DEVICE]
    if said is not None:
        pcm16, rate_hz = said
        before, after = (bytes(2 * int(s * rate_hz)) for s in (after_s, AFTER_S))
        path = folder / "microphone.wav"
        path.write_bytes(wav.written(before + pcm16 + after, rate_hz))
        flags.append(f"--use-file-for-fake-audio-capture={path}%noloop")
    one = Browser(folder / "profile", *flags)
    try:
        await one.open()
        yield one
    finally:
        await one.close()


async def played(page: Browser) -> bytes:
    """What came out of the page's loudspeaker, at 16 kHz."""
    text = await page.script("return window.recording()")
    sound, rate_hz = files.decoded(base64.b64decode(text), longest_s=300)
    return resample.resample(sound, rate_hz, 16_000)


def events(log: list[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    return [entry for entry in log if entry["event"] == name]
