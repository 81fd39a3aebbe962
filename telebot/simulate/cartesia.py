"""Cartesia's wire: voices and models, refused as Cartesia refuses; its sockets are in
`cartesia_tts.py` and `cartesia_stt.py`.

https://docs.cartesia.ai/use-the-api/api-conventions (key and version),
https://docs.cartesia.ai/use-the-api/api-errors, https://docs.cartesia.ai/api-reference/voices/get,
https://docs.cartesia.ai/api-reference/models/list.
"""

from __future__ import annotations

import re
import uuid
from typing import Any

from aiohttp import web

from telebot.simulate import cartesia_files
from telebot.simulate.cartesia_stt import CartesiaHearing
from telebot.simulate.cartesia_tts import CartesiaSpeaking
from telebot.simulate.cartesia_wire import (
    STT_MODELS,
    TTS_MODELS,
    VOICES,
    authorised,
    refusal,
)
from telebot.simulate.server import Routes, Simulator

PREFIX = "/cartesia"


def routes(sim: Simulator) -> Routes:
    """Everything of Cartesia that is simulated."""
    wire = _Cartesia(sim)
    return [
        web.get(f"{PREFIX}/models", wire.models),
        web.get(f"{PREFIX}/voices", wire.voices),
        web.get(f"{PREFIX}/voices/{{id}}", wire.voice),
        web.get(f"{PREFIX}/tts/websocket", CartesiaSpeaking(sim).socket),
        web.get(f"{PREFIX}/stt/websocket", CartesiaHearing(sim).socket),
        *cartesia_files.routes(sim),
    ]


class _Cartesia:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def models(self, request: web.Request) -> web.Response:
        kinds = {"tts": TTS_MODELS, "stt": STT_MODELS}
        wanted = request.query.get("capability")
        if wanted not in (*kinds, None):
            return refusal(400, "invalid_request", f"Unknown capability {wanted!r}.")
        names = kinds[wanted] if wanted else TTS_MODELS + STT_MODELS
        return web.json_response({"data": [{"id": name} for name in names]})

    async def voices(self, request: web.Request) -> web.Response:
        if refused := authorised(self._sim, request):
            return refused
        limit = request.query.get("limit", "10")
        if not re.fullmatch(r"[1-9]\d?|100", limit):
            return refusal(400, "invalid_request", "limit must be between 1 and 100.")
        data = [_voice(each) for each in VOICES]
        return web.json_response(
            {"data": data[: int(limit)], "has_more": int(limit) < len(data), "next_page": None}
        )

    async def voice(self, request: web.Request) -> web.Response:
        if refused := authorised(self._sim, request):
            return refused
        name = request.match_info["id"]
        try:
            uuid.UUID(name)
        except ValueError:
            return refusal(400, "invalid_voice", f"{name!r} is no voice ID.")
        if name not in VOICES:
            return refusal(404, "voice_not_found", f"There is no voice {name}.")
        return web.json_response(_voice(name))


def _voice(name: str) -> dict[str, Any]:
    return {
        "id": name,
        "name": VOICES[name],
        "description": "Spoken by this machine.",
        "tagline": "",
        "language": "en",
        "locales": [{"locale": "en-US", "is_native": True}],
        "is_owner": False,
        "access": "public",
        "visibility": "all",
        "created_at": "2026-01-01T00:00:00Z",
    }
