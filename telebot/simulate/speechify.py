"""Speechify's stream of sound, and its list of voices.

https://docs.speechify.ai. Errors: an `error` with `code` and `message`.
"""

from __future__ import annotations

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Unfit, object_of
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding

MODELS = ("simba-3.0", "simba-3.2", "simba-3.5", "simba-english", "simba-multilingual")
VOICES = ("harper_32", "geffen_32", "imogen_32", "george")
RATE_HZ = 24_000
LONGEST = 20_000
SAYS = {
    400: ("invalid_request", "The request is invalid."),
    401: ("unauthorized", "The API key is invalid."),
    404: ("voice_not_found", "The voice was not found."),
    406: ("not_acceptable", "The format is not simulated."),
    429: ("rate_limited", "Too many requests."),
    500: ("internal_error", "Internal error."),
}


def routes(sim: Simulator) -> Routes:
    """Everything of Speechify that is simulated."""
    known = lambda request: sim.good(bearer(request))  # noqa: E731
    speaking = Recordings(sim, "speechify", known, _refusal, kind="tts")

    async def stream(request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await object_of(request)
        text = asked.get("input")
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            raise Unfit(400, f"input must have 1 to {LONGEST} characters")
        if asked.get("model", "simba-english") not in MODELS:
            raise Unfit(400, "The model is unknown.")
        if asked.get("voice_id") not in VOICES:
            raise Unfit(404, "")
        if request.headers.get("Accept") != "audio/pcm":
            raise Unfit(406, "")
        return await sounding(sim, request, exchange, text, RATE_HZ, kind="audio/L16")

    async def voices(_: web.Request, __: Exchange) -> web.Response:
        rows = [
            {"id": name, "display_name": name.title(), "locale": "en-US", "gender": "female"}
            for name in VOICES
        ]
        return web.json_response(rows)

    return [
        web.post("/speechify/v1/audio/stream", speaking.served(stream)),
        web.get("/speechify/v1/voices", speaking.served(voices)),
    ]


def _refusal(status: int, says: str) -> web.Response:
    code, usual = SAYS[status]
    headers = {"Retry-After": "1"} if status == 429 else {}
    body = {"error": {"code": code, "message": says or usual}}
    return web.json_response(body, status=status, headers=headers)
