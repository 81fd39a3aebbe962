"""The JavaScript client of realtime sessions, for everybody: `/console/telebot-client.js`.

Pages of other origins import it, so any origin may read it; it holds nothing that is anybody's.
What it speaks is `WS /v1/voice/realtime`, and how it is used docs/client.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from telebot.console.sessions import PATH

FOLDER = Path(__file__).parent / "static"
FILES = {"telebot-client.js": "text/javascript", "telebot-client.d.ts": "text/plain"}
FOR_ALL = {
    "Access-Control-Allow-Origin": "*",  # no cookie and no key is ever looked at here
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Content-Security-Policy": "default-src 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "public, max-age=3600",
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def setup(app: web.Application) -> None:
    """Add the file and its TypeScript declarations; each has an ETag and answers HEAD."""
    for name, media_type in FILES.items():
        app.router.add_get(f"{PATH}/{name}", _file(FOLDER / name, media_type))


def _file(path: Path, media_type: str) -> Handler:
    headers = FOR_ALL | {"Content-Type": f"{media_type}; charset=utf-8"}

    async def file(_: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, headers=headers)

    return file
