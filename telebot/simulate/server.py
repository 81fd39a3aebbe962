"""All simulated vendors on one loopback port, with the faults that are asked for.

Faults are changed while it runs: ``POST /faults`` with a list of fault texts (`faults.Fault.parse`)
replaces them, ``GET /faults`` lists them. Keys: every vendor takes any key but the empty one and
those that begin with ``bad``, which it refuses as the real one does.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from aiohttp import web

from telebot.call.errors import ConfigError
from telebot.providers.local_speech import LocalSpeech
from telebot.simulate.brain import Answers
from telebot.simulate.faults import Dropped, Exchange, Fault, Faults, Garbage
from telebot.simulate.registry import VENDORS
from telebot.simulate.speech import Speech

MAX_BODY = 32 << 20
Routes = Iterable[web.RouteDef]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
log = structlog.get_logger()


class Simulator:
    """What a vendor's file is given: the speech, the answers, the faults, the keys."""

    def __init__(self, local: LocalSpeech, faults: Sequence[Fault] = ()) -> None:
        self.speech = Speech(local)
        self.answers = Answers()
        self.faults = Faults(faults)
        self.requests: list[tuple[str, str]] = []  # vendor and kind of every exchange
        self.asked: list[str] = []  # path and query of every request

    def exchange(self, vendor: str, kind: str) -> Exchange:
        """Begin an exchange; its `connect` point is the caller's to reach."""
        self.requests.append((vendor, kind))
        return Exchange(self.faults, vendor, kind)

    @staticmethod
    def good(key: str | None) -> bool:
        """Whether the vendor takes this key."""
        return bool(key) and not str(key).startswith("bad")

    def app(self, vendors: Iterable[str] = VENDORS) -> web.Application:
        """The server of these vendors."""
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_cuts, self._note])
        app.add_routes([web.get("/faults", self._list), web.post("/faults", self._replace)])
        for vendor in vendors:
            module, _, function = VENDORS[vendor].partition(":")
            app.add_routes(getattr(importlib.import_module(module), function)(self))
        return app

    @web.middleware
    async def _note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        return await handler(request)

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([f"{fault}" for fault in self.faults.on])

    async def _replace(self, request: web.Request) -> web.Response:
        try:
            self.faults.on = [Fault.parse(str(text)) for text in await request.json()]
        except (ConfigError, ValueError, TypeError) as error:
            return web.json_response({"error": str(error)}, status=400)
        return web.json_response(len(self.faults.on))


@web.middleware
async def _cuts(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A `Dropped` that a handler lets through cuts the connection without a word; a client that
    left is no fault either. The answer that aiohttp wants goes nowhere; it would log an error."""
    try:
        return await handler(request)
    except Garbage:  # while connecting
        return web.Response(body=b"\x00\xff\x00 neither an answer nor a handshake")
    except (Dropped, ConnectionResetError):
        if request.transport is not None:
            request.transport.abort()
        return web.Response()
