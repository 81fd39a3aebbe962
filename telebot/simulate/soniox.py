"""Soniox's wire: recognition over a websocket, and the list of models.

https://soniox.com/docs/api-reference/stt/websocket-api: the key in the upgrade's header (or, until
2027-01-15, in the start request), a start request, audio in binary messages, an empty one at the
end. https://soniox.com/docs/stt/rt/manual-finalization,
https://soniox.com/docs/stt/rt/endpoint-detection, https://soniox.com/docs/stt/rt/connection-keepalive.
https://soniox.com/docs/api-reference/errors: one message with the error, then a close with code
1000, also where the key is wrong; over HTTP an object with `status_code` and `message`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate import soniox_files
from telebot.simulate.asked import bearer, json_object
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Routes, Simulator

PREFIX = "/soniox"
MODELS = {"stt-rt-v5": "real_time", "stt-rt-v4": "real_time", "stt-async-v5": "async"}
FORMATS = {"mulaw": "mulaw", "pcm_s16le": "linear16"}  # of the vendor's that are simulated
ERRORS = {
    400: ("invalid_request", "Invalid request."),
    401: ("unauthenticated", "Incorrect API key provided."),
    429: ("rate_limit_exceeded", "Rate limit exceeded."),
    500: ("internal_error", "The server had an error."),
}
NO_KEY = "Missing API key."


def routes(sim: Simulator) -> Routes:
    """Everything of Soniox that is simulated."""
    wire = _Soniox(sim)
    return [
        web.get(f"{PREFIX}/v1/models", wire.models),
        web.get(f"{PREFIX}/transcribe-websocket", wire.socket),
        *soniox_files.routes(sim),
    ]


class _Soniox:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def models(self, request: web.Request) -> web.Response:
        if not self._sim.good(bearer(request)):
            kind, message = ERRORS[401]
            body = {"status_code": 401, "error_type": kind, "message": message}
            return web.json_response({**body, "request_id": str(uuid.uuid4())}, status=401)
        models = [{"id": i, "name": i, "transcription_mode": m} for i, m in MODELS.items()]
        return web.json_response({"models": models})

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("soniox", "stt")
        refused = garbage = None
        try:
            await exchange.reach("connect")
        except Refused as fault:
            refused = fault
        except Garbage as fault:
            garbage = fault
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        session = _Session(self._sim, ws, exchange, bearer(request))
        if garbage:
            await session.garbage()
        async for message in ws:
            await at_pace(exchange)
            if refused:
                await session.refuse(refused.status)
            else:
                await session.take(message.type, message.data)
        return ws


class _Session:
    """One connection: first its start request, then its audio."""

    def __init__(
        self, sim: Simulator, ws: web.WebSocketResponse, exchange: Exchange, key: str
    ) -> None:
        self._sim = sim
        self._ws = ws
        self._exchange = exchange
        self._key = key
        self._listener: Listener | None = None
        self._endpoints = False

    async def take(self, kind: WSMsgType, data: Any) -> None:
        try:
            if self._listener is None:
                await self._start(kind, data)
            elif not data:
                await self._mark("", finished=True)
                await self._ws.close()
            elif kind is WSMsgType.BINARY:
                await self._audio(self._listener, data)
            else:
                await self._control(data)
        except Garbage:
            await self.garbage()
        except Refused as fault:
            await self.refuse(fault.status)

    async def _start(self, kind: WSMsgType, data: Any) -> None:
        asked = json_object(data)
        if asked is None:
            await self.refuse(400, "Start request must be a JSON text message.")
            return
        key = self._key or str(asked.get("api_key") or "")
        if not self._sim.good(key):
            await self.refuse(401, ERRORS[401][1] if key else NO_KEY)
        elif fault := _fault(asked):
            await self.refuse(400, fault)
        else:
            rate_hz, encoding = int(asked["sample_rate"]), FORMATS[asked["audio_format"]]
            self._endpoints = bool(asked.get("enable_endpoint_detection"))
            self._listener = Listener(self._exchange, self._sim.speech, rate_hz, encoding)

    async def _audio(self, listener: Listener, data: bytes) -> None:
        async for heard in listener.feed(data):
            await self._tokens(heard, final=False)
        if listener.ended and self._endpoints:
            await self._mark("<end>")

    async def _control(self, data: str) -> None:
        kind = (json_object(data) or {}).get("type")
        if kind == "finalize":
            await self._mark("<fin>")
        elif kind != "keepalive":
            await self.refuse(400, "Invalid control message.")

    async def _mark(self, mark: str, **more: Any) -> None:
        assert self._listener is not None
        heard = await self._listener.finish()
        await self._tokens(heard, final=True, mark=mark, **more)

    async def _tokens(self, heard: Heard, *, final: bool, mark: str = "", **more: Any) -> None:
        if self._exchange.silent:
            return
        tokens = [{**token, "is_final": final} for token in _split(heard)]
        if mark:
            tokens.append({"text": mark, "is_final": True})
        until = round(heard.end_s * 1000)
        times = {"final_audio_proc_ms": until if final else 0, "total_audio_proc_ms": until}
        await self._ws.send_json({"tokens": tokens, **times, **more})

    async def refuse(self, status: int, message: str = "") -> None:
        kind, usual = ERRORS[status]
        said = {
            "tokens": [],
            "error_code": status,
            "error_type": kind,
            "error_message": message or usual,
            "more_info": f"https://soniox.com/docs/api-reference/errors#{kind.replace('_', '-')}",
            "request_id": str(uuid.uuid4()),
        }
        await self._ws.send_json(said)
        await self._ws.close()

    async def garbage(self) -> None:
        await self._ws.send_str("{\x00\ufffd not json")


def _split(heard: Heard) -> list[dict[str, Any]]:
    """Tokens of a text, spaces with the words they go before, their times by their length."""
    tokens: list[dict[str, Any]] = []
    for word in heard.words:
        times = {"start_ms": round(word.start_s * 1000), "end_ms": round(word.end_s * 1000)}
        text = f" {word.text}" if tokens else word.text
        tokens.append({"text": text, **times, "confidence": 0.97})
    return tokens


def _fault(asked: Mapping[str, Any]) -> str:
    """What is wrong with a start request; "" for nothing."""
    if MODELS.get(str(asked.get("model"))) != "real_time":
        return "Invalid model specified."
    if asked.get("audio_format") not in FORMATS:
        return "Invalid audio_format."
    if not isinstance(asked.get("sample_rate"), int) or asked.get("num_channels") != 1:
        return "sample_rate and num_channels are required for raw audio formats."
    return ""
