"""Deepgram's /v1/listen: nova models, results by interim, endpointing and `Finalize`.

https://developers.deepgram.com/reference/speech-to-text/listen-streaming,
https://developers.deepgram.com/docs/finalize, …/docs/close-stream, …/docs/keep-alive; messages as
deepgram-sdk 7.16 has them (`listen/v1/types`). Endpointing hears 0.3 s of silence, whatever number
it is given. A silent client is not closed for being silent.
"""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from telebot.simulate.asked import json_object
from telebot.simulate.deepgram_wire import (
    LISTEN_MODELS,
    BadQuery,
    FirstVersion,
    number,
    one_of,
    socket_route,
)
from telebot.simulate.faults import Exchange
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Routes, Simulator

NAMES = (*LISTEN_MODELS, *(name.removesuffix("-general") for name in LISTEN_MODELS))
ENCODINGS = ("linear16", "mulaw")  # of those that Deepgram takes, what the phone speaks
BOOLEANS = ("true", "false")


def routes(sim: Simulator) -> Routes:
    return [socket_route(sim, "/v1/listen", "stt", partial(_Session, sim))]


class _Session(FirstVersion):
    """One connection. Raises BadQuery for a query that Deepgram would refuse."""

    def __init__(self, sim: Simulator, exchange: Exchange, query: Any) -> None:
        self._model = query.get("model", "base")
        if self._model not in NAMES:
            raise BadQuery("Bad Request: No such model/language/tier combination found.")
        encoding = one_of(query, "encoding", ENCODINGS)
        rate_hz = number(query, "sample_rate", 8000, 48000, None)
        if rate_hz is None:
            raise BadQuery("Bad Request: `sample_rate` is required with `encoding`.")
        self._interims = one_of(query, "interim_results", BOOLEANS, "false") == "true"
        self._endpoints = query.get("endpointing", "10") != "false"
        self._listener = Listener(exchange, sim.speech, int(rate_hz), encoding)
        self._exchange = exchange
        self._request_id = str(uuid.uuid4())
        self._socket: web.WebSocketResponse

    async def run(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        async for message in socket:
            await at_pace(self._exchange)
            if message.type is WSMsgType.BINARY:
                await self._audio(message.data)
            elif message.type is WSMsgType.TEXT and not await self._control(message.data):
                await self._end()
                return

    async def _audio(self, audio: bytes) -> None:
        async for heard in self._listener.feed(audio):
            if self._interims:
                await self._results(heard, is_final=False)
        if self._endpoints and self._listener.ended:
            await self._results(await self._listener.finish(), speech_final=True)

    async def _control(self, text: str) -> bool:
        """False where the client wants to end."""
        kind = (json_object(text) or {}).get("type")
        if kind == "Finalize":
            await self._results(await self._listener.finish(), from_finalize=True)
        elif kind not in ("KeepAlive", "CloseStream"):
            await self._send(
                {
                    "type": "Error",
                    "variant": "SchemaError",
                    "description": "Could not deserialize last text message",
                    "message": text,
                }
            )
        return bool(kind != "CloseStream")

    async def _end(self) -> None:
        if self._listener.heard_speech:
            await self._results(await self._listener.finish())
        await self._send(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self._request_id,
                "sha256": "0" * 64,
                "created": "2026-01-01T00:00:00.000Z",
                "duration": self._listener.audio_s,
                "channels": 1,
            }
        )
        await self._socket.close(code=WSCloseCode.OK)

    async def _results(
        self,
        heard: Heard,
        *,
        is_final: bool = True,
        speech_final: bool = False,
        from_finalize: bool = False,
    ) -> None:
        words = [
            {
                "word": word.text.strip(".,?!").lower(),
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
                "confidence": 0.99,
                "punctuated_word": word.text,
            }
            for word in heard.words
        ]
        best = {"transcript": heard.text, "confidence": 0.99 if words else 0.0, "words": words}
        await self._send(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": round(heard.end_s - heard.start_s, 3),
                "start": round(heard.start_s, 3),
                "is_final": is_final,
                "speech_final": speech_final,
                "channel": {"alternatives": [best]},
                "metadata": self._metadata(),
                "from_finalize": from_finalize,
            }
        )

    def _metadata(self) -> dict[str, Any]:
        uid = str(uuid.uuid5(uuid.NAMESPACE_DNS, self._model))
        info = {"name": self._model, "version": "2026-01-01.0", "arch": "nova-3"}
        return {"request_id": self._request_id, "model_info": info, "model_uuid": uid}

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._exchange.silent:
            await self._socket.send_json(message)
