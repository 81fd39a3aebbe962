"""Cartesia's recogniser on a websocket, the one that finalises when it is told to.

https://docs.cartesia.ai/api-reference/stt/websocket: audio in binary messages; `transcript` events
are deltas, to be joined without touching their spaces; the text message ``finalize`` is answered by
the rest of them and `flush_done`, ``close`` (once ``done``) by the rest, `done` and the end of the
connection. A `language` other than English is for `ink-whisper`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate.cartesia_wire import (
    ENCODINGS,
    GARBAGE,
    STT_MODELS,
    at_the_door,
    event,
    known_model,
    refusal,
)
from telebot.simulate.faults import Exchange, Garbage, Refused
from telebot.simulate.interims import Heard, Listener, at_pace
from telebot.simulate.server import Simulator


class CartesiaHearing:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("cartesia", "stt")
        if refused := await at_the_door(self._sim, request, exchange):
            return refused
        query = request.query
        if not query.get("sample_rate", "").isdecimal() or query.get("encoding") not in ENCODINGS:
            return refusal(400, "invalid_request", "encoding and sample_rate are required.")
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        if fault := _fault(query):
            await ws.send_json(event(400, *fault))
            await ws.close()
            return ws
        rate_hz, encoding = int(query["sample_rate"]), ENCODINGS[query["encoding"]]
        listener = Listener(exchange, self._sim.speech, rate_hz, encoding)
        session = _Session(ws, exchange, listener)
        async for message in ws:
            await at_pace(exchange)
            await session.take(message.type, message.data)
        return ws


class _Session:
    def __init__(self, ws: web.WebSocketResponse, exchange: Exchange, listener: Listener) -> None:
        self._ws = ws
        self._exchange = exchange
        self._listener = listener
        self._name = str(uuid.uuid4())

    async def take(self, kind: WSMsgType, data: Any) -> None:
        try:
            if kind is WSMsgType.BINARY:
                async for heard in self._listener.feed(data):
                    await self._transcript(heard.text, heard, final=False)
            elif data == "finalize":
                await self._finish("flush_done")
            elif data in ("close", "done"):
                await self._finish("done")
                await self._ws.close()
            else:
                await self._refuse(400, "invalid_command", f"Unknown command {data[:40]!r}.")
        except Garbage:
            await self._ws.send_str(GARBAGE)
        except Refused as fault:
            await self._refuse(fault.status)

    async def _finish(self, answer: str) -> None:
        heard = await self._listener.finish()
        if self._exchange.silent:
            return
        for delta in _deltas(heard.text):
            await self._transcript(delta, heard, final=True)
        await self._ws.send_json({"type": answer, "request_id": self._name})

    async def _transcript(self, text: str, heard: Heard, *, final: bool) -> None:
        if text and not self._exchange.silent:
            await self._ws.send_json(
                {
                    "type": "transcript",
                    "is_final": final,
                    "request_id": self._name,
                    "text": text,
                    "duration": round(heard.end_s - heard.start_s, 3),
                    "language": "en",
                }
            )

    async def _refuse(self, status: int, code: str = "", message: str = "") -> None:
        said = event(status, code, message, request_id=self._name)
        await self._ws.send_json(said)
        await self._ws.close()


def _deltas(text: str) -> list[str]:
    """A transcript in two pieces, as the vendor may give it."""
    at = text.find(" ", len(text) // 2)
    return [text[:at], text[at:]] if at > 0 else [text] if text else []


def _fault(query: Mapping[str, str]) -> tuple[str, str] | None:
    if not known_model(query.get("model"), STT_MODELS):
        return "model_not_found", "The model is not valid, make sure it is a valid model ID."
    if query["model"] == "ink-2" and query.get("language", "en") != "en":
        return "invalid_language", "ink-2 supports English only."
    return None
