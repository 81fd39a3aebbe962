"""Deepgram's /v2/listen: Flux, whose turns begin and end.

https://developers.deepgram.com/reference/speech-to-text/listen-flux,
https://developers.deepgram.com/docs/flux/state, …/docs/flux/force-end-turn,
…/docs/flux/close-stream; messages as deepgram-sdk 7.16 has them (`listen/v2/types`). Its own end of
turn is 0.3 s of silence here, where `eot_threshold` is below 1.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from telebot.simulate.asked import json_object
from telebot.simulate.deepgram_wire import BadQuery, number, one_of, socket_route
from telebot.simulate.faults import Exchange
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Routes, Simulator

MODELS = ("flux-general-en", "flux-general-multi")
ENCODINGS = ("linear16", "mulaw")
CODES = {401: "INVALID_AUTH", 429: "TOO_MANY_REQUESTS", 500: "INTERNAL_SERVER_ERROR"}


def routes(sim: Simulator) -> Routes:
    return [socket_route(sim, "/v2/listen", "stt", partial(_Session, sim))]


class _Session:
    """One connection. Raises BadQuery for a query that Flux would refuse."""

    def __init__(self, sim: Simulator, exchange: Exchange, query: Any) -> None:
        self._model = one_of(query, "model", MODELS)
        encoding = one_of(query, "encoding", ENCODINGS)
        rate_hz = number(query, "sample_rate", 8000, 48000, None)
        if rate_hz is None:
            raise BadQuery("Missing `sample_rate`")
        self._threshold = number(query, "eot_threshold", 0.5, 1.0, 0.7)
        self._eager = number(query, "eager_eot_threshold", 0.3, 0.9, None)
        self._timeout_ms = number(query, "eot_timeout_ms", 500, 30000, 5000)
        self._keyterms = query.getall("keyterm", [])
        self._listener = Listener(exchange, sim.speech, int(rate_hz), encoding)
        self._exchange = exchange
        self._request_id = str(uuid.uuid4())
        self._sequence = 0
        self._turn = 0
        self._in_turn = False
        self._socket: web.WebSocketResponse

    async def run(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        await self._send("Connected")
        async for message in socket:
            await at_pace(self._exchange)
            if message.type is WSMsgType.BINARY:
                await self._audio(message.data)
            elif message.type is WSMsgType.TEXT and not await self._control(message.data):
                return

    async def refuse(self, socket: web.WebSocketResponse, status: int) -> None:
        await self._error(CODES[status], "refused on command")

    async def _audio(self, audio: bytes) -> None:
        async for heard in self._listener.feed(audio):
            await self._heard(heard)
        if self._listener.ended and self._threshold is not None and self._threshold < 1:
            await self._end_turn("model")

    async def _heard(self, heard: Heard) -> None:
        event = "Update" if self._in_turn else "StartOfTurn"
        self._in_turn = True
        await self._turn_info(event, heard)

    async def _end_turn(self, trigger: str) -> None:
        heard = await self._listener.finish()
        if not heard.text:
            return
        if not self._in_turn:
            await self._heard(heard)
        if trigger == "model" and self._eager is not None:
            await self._turn_info("EagerEndOfTurn", heard)
        await self._turn_info("EndOfTurn", heard, trigger=trigger)
        self._in_turn = False
        self._turn += 1

    async def _control(self, text: str) -> bool:
        """False where the session ends."""
        message = json_object(text) or {}
        kind = message.get("type")
        if kind == "ForceEndTurn":
            await self._end_turn("manual")
        elif kind == "Configure":
            await self._configure(message)
        elif kind == "CloseStream":
            await self._socket.close(code=WSCloseCode.OK)
            return False
        else:
            await self._error("UNPARSABLE_CLIENT_MESSAGE", "The client sent an unknown message")
            return False
        return True

    async def _configure(self, message: dict[str, Any]) -> None:
        given = message.get("thresholds") or {}
        self._threshold = given.get("eot_threshold", self._threshold)
        self._eager = given.get("eager_eot_threshold", self._eager)
        self._timeout_ms = given.get("eot_timeout_ms", self._timeout_ms)
        self._keyterms = message.get("keyterms", self._keyterms)
        thresholds = {
            "eot_threshold": self._threshold,
            "eager_eot_threshold": self._eager,
            "eot_timeout_ms": self._timeout_ms,
        }
        await self._send("ConfigureSuccess", thresholds=thresholds, keyterms=self._keyterms)

    async def _turn_info(self, event: str, heard: Heard, **more: Any) -> None:
        words = [
            {
                "word": word.text,
                "confidence": 0.99,
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
            }
            for word in heard.words
        ]
        await self._send(
            "TurnInfo",
            event=event,
            turn_index=self._turn,
            audio_window_start=round(heard.start_s, 3),
            audio_window_end=round(heard.end_s, 3),
            transcript=heard.text,
            words=words,
            end_of_turn_confidence=0.95 if event == "EndOfTurn" else 0.1,
            **more,
        )

    async def _error(self, code: str, description: str) -> None:
        await self._send("Error", code=code, description=description)
        broken = WSCloseCode.INTERNAL_ERROR if code == CODES[500] else WSCloseCode.POLICY_VIOLATION
        await self._socket.close(code=broken, message=code.encode())

    async def _send(self, kind: str, **fields: Any) -> None:
        head = {"type": kind, "request_id": self._request_id, "sequence_id": self._sequence}
        self._sequence += 1
        if not self._exchange.silent:
            await self._socket.send_json({**head, **fields})
