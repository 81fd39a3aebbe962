"""What Cartesia's simulated endpoints share: names, the key, the version, errors.

https://docs.cartesia.ai/use-the-api/api-errors: an object with `error_code`, `title`, `message` and
`request_id`, over HTTP by itself and over a socket as an event with `status_code`.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.server import Simulator

TTS_MODELS = ("sonic-3", "sonic-3.5", "sonic-3.6")
STT_MODELS = ("ink-2", "ink-whisper")
VOICES = {
    "f786b574-daa5-4673-aa0c-cbe3e8534c02": "Katie",
    "a0e99841-438c-4a64-b679-ae501e7d6091": "Barbershop Man",
}
GARBAGE = "{\x00\ufffd not json"
ENCODINGS = {"pcm_s16le": "linear16", "pcm_mulaw": "mulaw"}  # of the vendor's that are simulated
TITLES = {
    400: ("invalid_request", "Invalid request"),
    401: ("unauthorized", "Unauthorized"),
    404: ("not_found", "Not found"),
    429: ("concurrency_limited", "Too many concurrent requests"),
    500: ("internal_error", "Internal server error"),
}


def known_model(name: object, known: tuple[str, ...]) -> bool:
    """Whether it is one of `known`, a dated version of one, or the newest."""
    undated = re.sub(r"-\d{4}-\d{2}-\d{2}$", "", str(name))
    return undated in known or name == f"{known[0].partition('-')[0]}-latest"


def error(status: int, code: str = "", message: str = "") -> dict[str, Any]:
    """The vendor's error object."""
    usual, title = TITLES.get(status, TITLES[500])
    return {
        "error_code": code or usual,
        "title": title,
        "message": message or "refused on command",
        "request_id": str(uuid.uuid4()),
    }


def event(status: int, code: str = "", message: str = "", **more: Any) -> dict[str, Any]:
    """The vendor's error event on a socket."""
    return {
        "type": "error",
        "done": True,
        "status_code": status,
        **error(status, code, message),
        **more,
    }


def refusal(status: int, code: str = "", message: str = "") -> web.Response:
    """The vendor's answer to a request that it refuses."""
    return web.json_response(error(status, code, message), status=status)


def authorised(sim: Simulator, request: web.Request) -> web.Response | None:
    """The refusal of a request without a good key or a version; None where both are there."""
    key = request.headers.get("X-API-Key") or request.query.get("access_token")
    if not sim.good(key or bearer(request)):
        return refusal(401, message="The API key is not valid.")
    version = request.query.get("cartesia_version") or request.headers.get("Cartesia-Version")
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", version or ""):
        return refusal(400, "invalid_version", "Send a Cartesia-Version like 2026-03-01.")
    return None


async def at_the_door(
    sim: Simulator, request: web.Request, exchange: Exchange
) -> web.Response | None:
    """The point ``connect`` and the key; None where the socket may be opened."""
    try:
        await exchange.reach("connect")
    except Refused as fault:
        return refusal(fault.status)
    except Garbage:
        return web.Response(body=GARBAGE.encode(), content_type="application/octet-stream")
    return authorised(sim, request)
