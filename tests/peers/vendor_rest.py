"""A vendor's REST on a loopback port: takes what its documentation says, and answers as told.

What a vendor takes stands in `NAME_peer.py`: a table of routes, each with a check that returns the
answer, or raises `Refusal` as the vendor would.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


class Refusal(Exception):
    """The vendor says no."""

    def __init__(self, status: int, body: Any = None) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Asked:
    """One request that got as far as being understood."""

    method: str
    path: str
    body: dict[str, Any]


Check = Callable[[web.Request, dict[str, Any]], tuple[int, Any]]


@dataclass
class VendorRest:
    """What was asked, and how it is told to behave: `answers` is one each request (a status,
    ``hang``, ``drop``, ``junk``, or (status, body)), then the routes' own."""

    authorized: Callable[[web.Request], bool]
    routes: dict[tuple[str, str], Check]
    unauthorized_status: int = 401
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    unauthorized: int = 0
    refused: list[int] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if not self.authorized(request):
            self.unauthorized += 1
            return web.json_response({"errors": [{"code": "10009"}]}, status=401)
        check = self.routes.get((request.method, request.match_info.route.resource.canonical))
        assert check is not None
        try:
            body = await _body(request)
            status, tree = check(request, body)
        except Refusal as refusal:
            self.refused.append(refusal.status)
            return web.json_response(refusal.body or {}, status=refusal.status)
        self.asked.append(Asked(request.method, request.path, body))
        told = self.answers.pop(0) if self.answers else None
        if told == "hang":
            await asyncio.sleep(3600)
        if told == "drop" and request.transport is not None:
            request.transport.abort()
        if told in ("drop", "junk"):
            return web.Response(text="<html>")
        if isinstance(told, tuple):
            status, tree = told
        elif isinstance(told, int):
            status, tree = told, {}
        if tree is None:
            return web.Response(status=status)
        return web.json_response(tree, status=status)


async def _body(request: web.Request) -> dict[str, Any]:
    if request.content_type == "application/json":
        text = await request.text()
        try:
            tree = json.loads(text) if text else {}
        except ValueError:
            raise Refusal(400) from None
        if not isinstance(tree, dict):
            raise Refusal(400)
        return tree
    return {str(name): str(value) for name, value in (await request.post()).items()}


@asynccontextmanager
async def serving(peer: VendorRest) -> AsyncIterator[VendorRest]:
    """The REST, listening."""
    app = web.Application()
    for method, path in peer.routes:
        app.router.add_route(method, path, peer.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()


def members(body: dict[str, Any], needed: set[str], known: set[str], status: int = 422) -> None:
    """Raises `Refusal` where a member is missing or not known."""
    if not needed <= body.keys() or body.keys() - needed - known:
        raise Refusal(status)
