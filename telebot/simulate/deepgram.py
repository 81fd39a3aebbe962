"""Deepgram's wire: keys, models, and its three websockets (`deepgram_listen`, `_flux`, `_speak`),
recordings and texts by request (`deepgram_files`).

https://developers.deepgram.com/docs/authenticating,
https://developers.deepgram.com/reference/manage/models/list.
"""

from __future__ import annotations

import uuid
from typing import Any

from aiohttp import web

from telebot.simulate import deepgram_files, deepgram_flux, deepgram_listen, deepgram_speak
from telebot.simulate.deepgram_wire import LISTEN_MODELS, VOICES, authorised, refusal
from telebot.simulate.server import Routes, Simulator


def routes(sim: Simulator) -> Routes:
    """Everything of Deepgram that is simulated."""
    wire = _Rest(sim)
    return [
        web.get("/deepgram/v1/auth/token", wire.token),
        web.get("/deepgram/v1/models", wire.models),
        *deepgram_listen.routes(sim),
        *deepgram_flux.routes(sim),
        *deepgram_speak.routes(sim),
        *deepgram_files.routes(sim),
    ]


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
