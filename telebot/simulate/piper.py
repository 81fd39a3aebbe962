"""Piper's HTTP server: a text in, a whole WAV file out, at the rate of the voice.

https://github.com/OHF-Voice/piper1-gpl/blob/main/docs/API_HTTP.md and src/piper/http_server.py
there: no key; an unknown voice is spoken by the default one; what it cannot read is Flask's 500, as
is a text of nothing. `routes_before` is the wire of servers without ``/synthesize``.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from telebot.audio import wav
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator

PREFIX = "/piper"
VOICES = {"en_US-lessac-medium": 22050, "en_US-lessac-low": 16000}
PAGE = "<!doctype html>\n<html lang=en>\n<title>{0} {1}</title>\n<h1>{1}</h1>\n"
JUNK = b"\x00\xff\x00 not audio"
REASONS = {
    401: "Unauthorized",
    429: "Too Many Requests",
    500: "Internal Server Error",
}


def routes(sim: Simulator) -> Routes:
    """The server of today."""
    wire = _Piper(sim)
    return [
        web.get(PREFIX, wire.page),
        web.get(f"{PREFIX}/", wire.page),
        web.get(f"{PREFIX}/voices", wire.voices),
        web.post(f"{PREFIX}/synthesize", wire.speak),
    ]


def routes_before(sim: Simulator) -> Routes:
    """The server that speaks what is posted to its root."""
    wire = _Piper(sim)
    return [web.get(f"{PREFIX}/voices", wire.voices), web.post(f"{PREFIX}/", wire.speak)]


def refusal(status: int) -> web.Response:
    """An error page as Flask, or a server in front of it, shows one."""
    text = PAGE.format(status, REASONS.get(status, "Error"))
    return web.Response(status=status, text=text, content_type="text/html")


class _Piper:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGE.format("", "Piper"), content_type="text/html")

    async def voices(self, _: web.Request) -> web.Response:
        """Each voice's own configuration by its name."""
        return web.json_response({name: _configuration(rate) for name, rate in VOICES.items()})

    async def speak(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("piper", "tts")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return refusal(fault.status)
        except Garbage:
            return web.Response(body=JUNK)
        asked = _asked(await request.read())
        if asked is None:
            return refusal(500)
        rate_hz = VOICES.get(str(asked.get("voice")), next(iter(VOICES.values())))
        said = await self._sim.speech.say(str(asked["text"]).strip(), rate_hz)
        file = wav.written(said.pcm16, rate_hz)
        return await _send(request, exchange, [file[:44], *said.pieces()], len(file))


async def _send(
    request: web.Request, exchange: Exchange, parts: list[bytes], length: int
) -> web.StreamResponse:
    """The file, whose length is said before: what is cut off is missed by whoever reads it."""
    answer = web.StreamResponse(headers={"Content-Type": "text/html; charset=utf-8"})
    answer.content_length = length
    head, *pieces = parts
    try:
        await exchange.reach("first")
        await answer.prepare(request)
        await answer.write(head)
        for number, piece in enumerate(pieces):
            if number == len(pieces) // 2:
                await exchange.reach("middle")
            if number == len(pieces) - 1:
                await exchange.reach("end")
            await answer.write(bytes(len(piece)) if exchange.silent else piece)
    except Garbage:
        if not answer.prepared:
            return web.Response(body=JUNK)
        await answer.write(JUNK)
        raise Dropped from None
    except Refused as fault:
        if answer.prepared:  # the status line is out already: all a server can do then
            raise Dropped from None
        return refusal(fault.status)
    return answer


def _asked(body: bytes) -> dict[str, Any] | None:
    """The request's fields; None where the server would fail on them."""
    try:
        asked = json.loads(body)
        text = asked.get("text", "").strip()
        for scale in ("length_scale", "noise_scale", "noise_w_scale"):
            float(asked.get(scale, 1.0))
    except (ValueError, AttributeError, TypeError):
        return None
    return asked if text else None


def _configuration(rate_hz: int) -> dict[str, Any]:
    return {
        "audio": {"sample_rate": rate_hz, "quality": "medium" if rate_hz > 16000 else "low"},
        "espeak": {"voice": "en-us"},
        "inference": {"noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8},
        "num_symbols": 256,
        "num_speakers": 1,
        "speaker_id_map": {},
    }
