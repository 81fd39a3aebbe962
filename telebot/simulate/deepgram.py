"""Deepgram's wire: keys, models, and its three websockets (`deepgram_listen`, `_flux`, `_speak`).

https://developers.deepgram.com/docs/errors, https://developers.deepgram.com/docs/authenticating,
https://developers.deepgram.com/reference/manage/models/list; names as deepgram-sdk 7.16 has them
(`types/listen_v1model.py`, `speak_v1model.py`). A handshake is refused with the HTTP error's body
and its reason in `dg-error`. What the pages do not say: how a session that is open already is told
that its key or its rate is at fault; here it is closed with 1008 and the error's name.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSCloseCode, web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

LISTEN_MODELS = (
    "nova-3-general", "nova-3-medical", "nova-2-general", "nova-2-meeting", "nova-2-phonecall",
    "nova-2-conversationalai", "nova-2-voicemail", "enhanced-general", "base-general",
)  # fmt: skip
VOICES = (
    "aura-2-thalia-en", "aura-2-andromeda-en", "aura-2-apollo-en", "aura-2-arcas-en",
    "aura-2-aries-en", "aura-2-asteria-en", "aura-2-athena-en", "aura-2-helena-en",
    "aura-2-orion-en", "aura-2-zeus-en", "aura-asteria-en", "aura-luna-en",
)  # fmt: skip
ERRORS = {
    400: ("Bad Request", "Bad Request"),
    401: ("INVALID_AUTH", "Invalid credentials."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error."),
}
MESSAGE_BYTES = 1 << 20
Session = Callable[[web.WebSocketResponse], Awaitable[None]]
Refuse = Callable[[web.WebSocketResponse, int], Awaitable[None]]


def routes(sim: Simulator) -> Routes:
    """Everything of Deepgram that is simulated."""
    from telebot.simulate import deepgram_flux, deepgram_listen, deepgram_speak

    wire = _Rest(sim)
    return [
        web.get("/deepgram/v1/auth/token", wire.token),
        web.get("/deepgram/v1/models", wire.models),
        *deepgram_listen.routes(sim),
        *deepgram_flux.routes(sim),
        *deepgram_speak.routes(sim),
    ]


class BadQuery(Exception):
    """A parameter that Deepgram refuses, with the reason it gives."""


def number(query: Any, name: str, least: float, most: float, default: float | None) -> float | None:
    """A number of the query. Raises BadQuery."""
    text = query.get(name)
    try:
        value = default if text is None else float(text)
    except ValueError:
        value = None
        least = most + 1
    if text is not None and (value is None or not least <= value <= most):
        raise BadQuery(f"Invalid value for `{name}`: {text}")
    return value


def one_of(query: Any, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
    """A word of the query. Raises BadQuery."""
    value = query.get(name, default)
    if value not in allowed:
        raise BadQuery(f"Invalid value for `{name}`: {value}")
    return str(value)


def authorised(sim: Simulator, request: web.Request) -> bool:
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return scheme.lower() in ("token", "bearer") and sim.good(key)


def refusal(status: int, reason: str = "") -> web.Response:
    """Deepgram's error body, also of a refused handshake."""
    code, message = ERRORS[status]
    message = reason or message
    request_id = str(uuid.uuid4())
    body = {"err_code": code, "err_msg": message, "request_id": request_id}
    headers = {"dg-error": message, "dg-request-id": request_id}
    if status == 429:
        headers["Retry-After"] = "1"
    return web.json_response(body, status=status, headers=headers)


async def close(socket: web.WebSocketResponse, status: int) -> None:
    """Refuse on an open connection of the first version of the wire."""
    code = WSCloseCode.INTERNAL_ERROR if status == 500 else WSCloseCode.POLICY_VIOLATION
    await socket.close(code=code, message=ERRORS[status][0].encode())


async def serve(
    request: web.Request, exchange: Exchange, session: Session, refuse: Refuse = close
) -> web.WebSocketResponse:
    """Open the socket and run `session` on it, its faults shown as Deepgram would."""
    socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES, compress=False)
    socket.headers["dg-request-id"] = str(uuid.uuid4())
    await socket.prepare(request)
    try:
        await session(socket)
    except Refused as fault:
        await refuse(socket, fault.status)
    except Garbage:
        await socket.send_str('{"type": "\x00 not json')
        await exchange.stay()
    except ConnectionResetError as error:
        raise Dropped from error
    return socket


class _Rest:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def token(self, request: web.Request) -> web.Response:
        if not authorised(self._sim, request):
            return refusal(401)
        return web.json_response({"api_key_id": str(uuid.uuid4()), "scopes": ["usage:write"]})

    async def models(self, request: web.Request) -> web.Response:
        if not authorised(self._sim, request):
            return refusal(401)
        return web.json_response({"stt": _rows(LISTEN_MODELS), "tts": _rows(VOICES)})


def _rows(names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "name": name.rpartition("-")[2],
            "canonical_name": name,
            "architecture": name.rpartition("-")[0],
            "languages": ["en"],
            "version": "2026-01-01.0",
            "uuid": str(uuid.uuid5(uuid.NAMESPACE_DNS, name)),
        }
        for name in names
    ]
