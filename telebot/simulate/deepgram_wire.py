"""What Deepgram's three websockets have in common: keys, refusals, and how faults look.

https://developers.deepgram.com/docs/errors,
https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors; names as
deepgram-sdk 7.16 has them (`types/listen_v1model.py`, `speak_v1model.py`). A handshake is refused
with the HTTP error's body and its reason in `dg-error`. What the pages do not say: how a session
that is open already is told that its key or its rate is at fault; here it is closed with 1008 and
the error's name.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WSCloseCode, web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Simulator

_FAMILIES = {
    "nova-3": "general medical",
    "nova-2": "general meeting finance conversationalai voicemail video medical drivethru "
    "automotive",
    "nova": "general phonecall medical",
    "enhanced": "general meeting phonecall finance",
    "base": "general meeting phonecall finance conversationalai voicemail video",
}
_SPEAKERS = {
    "en": "amalthea andromeda apollo arcas aries asteria athena atlas aurora callista cora "
    "cordelia delia draco electra harmonia helena hera hermes hyperion iris janus juno jupiter "
    "luna mars minerva neptune odysseus ophelia orion orpheus pandora phoebe pluto saturn selene "
    "thalia theia vesta zeus",
    "es": "agustina alvaro antonia aquila carina celeste diana estrella gloria javier luciano "
    "nestor olivia selena silvia sirio valerio",
    "de": "aurelia elara fabian julius kara lara viktoria",
    "nl": "beatrix cornelia daphne hestia lars leda rhea roman sander",
    "fr": "agathe hector",
    "it": "cesare cinzia demetra dionisio elio flavio livia maia melia",
    "ja": "ama ebisu fujin izanami uzume",
}
_FIRST_SPEAKERS = "angus arcas asteria athena helios hera luna orion orpheus perseus stella zeus"
LISTEN_MODELS = tuple(f"{f}-{use}" for f, uses in _FAMILIES.items() for use in uses.split())
VOICES = (
    *(f"aura-2-{n}-{code}" for code, names in _SPEAKERS.items() for n in names.split()),
    *(f"aura-{name}-en" for name in _FIRST_SPEAKERS.split()),
)
ERRORS = {
    400: ("Bad Request", "Bad Request"),
    401: ("INVALID_AUTH", "Invalid credentials."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
    500: ("INTERNAL_SERVER_ERROR", "Internal server error."),
}
MESSAGE_BYTES = 1 << 20


class Session(Protocol):
    """One connection."""

    async def run(self, socket: web.WebSocketResponse) -> None:
        """From the open socket to its end."""

    async def refuse(self, socket: web.WebSocketResponse, status: int) -> None:
        """Say on the open connection what is wrong, and close it."""


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


class FirstVersion:
    """A session of the first version of the wire."""

    async def refuse(self, socket: web.WebSocketResponse, status: int) -> None:
        """By the close alone."""
        code = WSCloseCode.INTERNAL_ERROR if status == 500 else WSCloseCode.POLICY_VIOLATION
        await socket.close(code=code, message=ERRORS[status][0].encode())


def socket_route(
    sim: Simulator, path: str, kind: str, begin: Callable[[Exchange, Any], Session]
) -> web.RouteDef:
    """A socket of Deepgram's; `begin` makes the session of a query, and raises BadQuery for one
    that Deepgram would refuse."""

    async def socket(request: web.Request) -> web.StreamResponse:
        exchange = sim.exchange("deepgram", kind)
        try:
            await exchange.reach("connect")
            if not authorised(sim, request):
                return refusal(401)
            session = begin(exchange, request.query)
        except Refused as fault:
            return refusal(fault.status)
        except BadQuery as fault:
            return refusal(400, str(fault))
        return await _serve(request, exchange, session)

    return web.get(f"/deepgram{path}", socket)


async def _serve(
    request: web.Request, exchange: Exchange, session: Session
) -> web.WebSocketResponse:
    """Open the socket and run `session` on it, its faults shown as Deepgram would."""
    socket = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES, compress=False)
    socket.headers["dg-request-id"] = str(uuid.uuid4())
    await socket.prepare(request)
    try:
        await session.run(socket)
    except Refused as fault:
        await session.refuse(socket, fault.status)
    except Garbage:
        await socket.send_str('{"type": "\x00 not json')
        await exchange.stay()
    except ConnectionResetError as error:
        raise Dropped from error
    return socket
