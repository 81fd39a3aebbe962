"""The HTTP edge put together: routes, middlewares, and what lives as long as they do.

`app.py` builds the parts and hands them in; other rooms add their routes to the application that
comes back (`api/` under `/v1`, `console/` under `/console`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from aiohttp import web
from aiohttp.typedefs import Middleware

from telebot.call.admission import Admission
from telebot.call.events import Conversations
from telebot.call.model import Call
from telebot.carriers.registry import Carriers
from telebot.settings import Settings
from telebot.web.auth import Gate
from telebot.web.errors import Handler, errors
from telebot.web.hangups import HangUps
from telebot.web.health import Check, live, ready
from telebot.web.limits import MAX_UPLOAD_BYTES
from telebot.web.media_socket import SOCKETS, MediaSockets
from telebot.web.media_stream import Surroundings
from telebot.web.metrics import Metrics
from telebot.web.origins import Origins
from telebot.web.public_url import PublicUrl
from telebot.web.rate_limits import RateLimits
from telebot.web.recent import RecentCalls
from telebot.web.webhooks import Webhooks

EXPIRY_EVERY_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the edge serves."""

    settings: Settings
    admission: Admission
    carriers: Carriers
    conversations: Conversations
    gate: Gate
    hang_ups: HangUps
    metrics: Metrics = field(default_factory=Metrics)
    checks: Mapping[str, Check] = field(default_factory=dict)
    behind_keys: Sequence[Middleware] = ()  # asked once it is known whose request it is


@dataclass(frozen=True, slots=True)
class _Lines:
    """What is made here, out of the parts, and lives as long as the application."""

    sockets: MediaSockets
    hooks: Webhooks


def build_app(parts: Parts) -> web.Application:
    """The application. Its cleanup ends every stream and every hang-up, and closes the carriers."""
    server, records = parts.settings.server, parts.settings.records
    urls = PublicUrl(server.public_url, server.trusted_proxies)
    limits = RateLimits(
        parts.settings.limits,
        records.redis_url.get_secret_value(),
        lambda request: urls.seen(request).peer,
    )
    origins = Origins(parts.settings.voice.origins, lambda request: urls.seen(request).base)
    app = web.Application(
        middlewares=[
            origins.middleware,
            errors,
            limits.before_keys,
            parts.gate.middleware,
            limits.after_keys,
            *parts.behind_keys,
        ],
        client_max_size=MAX_UPLOAD_BYTES,
    )
    app.on_response_prepare.append(limits.tell)
    app.on_response_prepare.append(origins.tell)
    app.on_cleanup.append(lambda _: limits.close())
    lines = _lines(parts, urls)
    app[SOCKETS] = lines.sockets
    parts.metrics.watch(parts.admission)
    parts.metrics.gauge("hangups_pending", "Hang-ups under way", lambda: parts.hang_ups.pending)
    app.add_routes(
        [
            web.get("/health/live", live),
            web.get("/health/ready", ready(parts.admission, parts.checks)),
            web.get("/metrics", parts.metrics.answer),
            *_asked("/{carrier}/voice", lines.hooks.voice),
            *_asked("/{carrier}/status", lines.hooks.status),
            *_asked("/{carrier}/fallback", lines.hooks.fallback),
            web.get("/{carrier}/media", lines.sockets.handle, allow_head=False),
        ]
    )
    _add_life(app, parts, lines)
    return app


def _asked(path: str, handler: Handler) -> tuple[web.RouteDef, web.RouteDef]:
    """A webhook's routes: some carriers ask by GET."""
    return web.post(path, handler), web.get(path, handler, allow_head=False)


def _lines(parts: Parts, urls: PublicUrl) -> _Lines:
    recent = RecentCalls()
    around = Surroundings(
        admission=parts.admission,
        conversations=parts.conversations,
        settings=parts.settings.media,
        recent=recent,
        hang_ups=parts.hang_ups,
        metrics=parts.metrics,
    )
    sockets = MediaSockets(parts.carriers, around, urls)
    hooks = Webhooks(
        carriers=parts.carriers,
        admission=parts.admission,
        urls=urls,
        sockets=sockets,
        recent=recent,
        metrics=parts.metrics,
    )
    return _Lines(sockets, hooks)


def _add_life(app: web.Application, parts: Parts, lines: _Lines) -> None:
    """What begins and ends with the application, in this order."""

    async def load_carriers(_: web.Application) -> None:
        for carrier in parts.carriers:  # a vendor's SDK is not imported while calls are up
            if why := carrier.off():
                log.info("carrier_off", carrier=carrier.name, why=why)

    async def expiry(_: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(_expire(parts))
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def stop_streams(_: web.Application) -> None:
        for call in parts.admission.unanswered():
            parts.admission.end(call, "cancelled")
            _give_up(parts, call)
        lines.sockets.stop_all()

    async def close(_: web.Application) -> None:
        await lines.sockets.close()
        await parts.hang_ups.close()
        await parts.carriers.close()

    app.on_startup.append(load_carriers)
    app.cleanup_ctx.append(expiry)
    app.on_shutdown.append(stop_streams)
    app.on_cleanup.append(close)


async def _expire(parts: Parts) -> None:
    """End the calls whose stream never came, and have nobody rung up any longer."""
    while True:
        await asyncio.sleep(EXPIRY_EVERY_S)
        for call in parts.admission.expire():
            _give_up(parts, call)


def _give_up(parts: Parts, call: Call) -> None:
    """A call that is over for us may ring on where we made it."""
    if call.offer.outbound:
        parts.hang_ups.begin(parts.carriers.get(call.offer.carrier), call)
