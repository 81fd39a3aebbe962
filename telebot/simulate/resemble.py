"""Resemble's synthesis cluster: a text to a WAV file that is streamed.

https://docs.resemble.ai. Errors: `success` and `message`. Any voice that has no space in its uuid
is one: which an account has, nobody else knows.
"""

from __future__ import annotations

import re

from aiohttp import web

from telebot.simulate.asked import bearer
from telebot.simulate.faults import Exchange
from telebot.simulate.recordings import Recordings, Unfit, object_of
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding, wav_head

MODELS = (None, "chatterbox", "chatterbox-turbo", "chatterbox-multilingual")
RATES = (8000, 16000, 22050, 32000, 44100, 48000)
LONGEST = 2000
SAYS = {
    400: "Bad request",
    401: "Unauthorized",
    429: "Too many requests",
    500: "Internal server error",
}


def routes(sim: Simulator) -> Routes:
    """The one address."""
    known = lambda request: sim.good(bearer(request))  # noqa: E731
    speaking = Recordings(sim, "resemble", known, _refusal, kind="tts")

    async def stream(request: web.Request, exchange: Exchange) -> web.StreamResponse:
        asked = await object_of(request)
        text, rate_hz = asked.get("data"), asked.get("sample_rate", 48000)
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST:
            raise Unfit(400, f"data must have 1 to {LONGEST} characters")
        if not re.fullmatch(r"[\w-]+", str(asked.get("voice_uuid", ""))):
            raise Unfit(400, "voice_uuid is invalid")
        if asked.get("model") not in MODELS or rate_hz not in RATES:
            raise Unfit(400, "model or sample_rate is invalid")
        if asked.get("precision") != "PCM_16":
            raise Unfit(400, "only PCM_16 is simulated")
        head = wav_head(rate_hz)
        return await sounding(sim, request, exchange, text, rate_hz, kind="audio/wav", head=head)

    return [web.post("/resemble/stream", speaking.served(stream))]


def _refusal(status: int, says: str) -> web.Response:
    headers = {"Retry-After": "1"} if status == 429 else {}
    body = {"success": False, "message": says or SAYS[status]}
    return web.json_response(body, status=status, headers=headers)
