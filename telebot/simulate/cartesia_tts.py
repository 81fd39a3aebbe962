"""Cartesia's voice on a websocket.

https://docs.cartesia.ai/api-reference/tts/websocket: requests of a `context_id` are spoken one
after the other, as `chunk` and `timestamps` events; times count from the context's first sample.
The last request says `continue: false`, and `done` follows. Text waits `max_buffer_delay_ms` for
more (https://docs.cartesia.ai/use-the-api/tts-websocket/buffering; 3 s where nothing is said);
after each flush comes `flush_done`. An error event ends its context, not the connection.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from aiohttp import WSMessage, web

from telebot.simulate.asked import json_object
from telebot.simulate.cartesia_wire import (
    ENCODINGS,
    GARBAGE,
    TTS_MODELS,
    VOICES,
    at_the_door,
    event,
    known_model,
)
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Simulator
from telebot.simulate.speech import Said, encode

RATES_HZ = (8000, 16000, 22050, 24000, 44100, 48000)
BUFFER_MS = 3000
PIECE_S = 0.1


class CartesiaSpeaking:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("cartesia", "tts")
        if refused := await at_the_door(self._sim, request, exchange):
            return refused
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        contexts: dict[str, _Context] = {}
        try:
            async for message in ws:
                await self._take(message, request, ws, contexts, exchange)
        finally:
            for context in contexts.values():
                context.task.cancel()
            await asyncio.gather(*(c.task for c in contexts.values()), return_exceptions=True)
        return ws

    async def _take(
        self,
        message: WSMessage,
        request: web.Request,
        ws: web.WebSocketResponse,
        contexts: dict[str, _Context],
        exchange: Exchange,
    ) -> None:
        asked = json_object(message.data)
        if asked is None:
            await ws.send_json(event(400, message="A message must be a JSON object."))
            return
        context_id = str(asked.get("context_id") or "")
        if asked.get("cancel") is True:
            if context := contexts.pop(context_id, None):
                context.task.cancel()
            return
        if fault := _fault(asked):
            status, code, said = fault
            more = {"context_id": context_id} if context_id else {}
            await ws.send_json(event(status, code, said, **more))
            return
        if context_id not in contexts or contexts[context_id].task.done():
            contexts[context_id] = _Context(self._sim, request, ws, exchange, context_id)
        contexts[context_id].requests.put_nowait(asked)


class _Context:
    """One context: its requests, spoken in order by a task of its own."""

    def __init__(
        self,
        sim: Simulator,
        request: web.Request,
        ws: web.WebSocketResponse,
        exchange: Exchange,
        name: str,
    ) -> None:
        self._sim = sim
        self._request = request
        self._ws = ws
        self._exchange = exchange
        self._name = name
        self._at_s = 0.0
        self._flushes = 0
        self.requests: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        try:
            await self._speak_all()
        except Garbage:
            await self._ws.send_str(GARBAGE)
        except Refused as fault:
            await self._ws.send_json(event(fault.status, context_id=self._name))
        except Dropped:
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            pass  # nobody listens any more

    async def _speak_all(self) -> None:
        pending = ""
        asked: dict[str, Any] = {}
        while True:
            wait_s = float(asked.get("max_buffer_delay_ms", BUFFER_MS)) / 1000
            try:
                async with asyncio.timeout(wait_s if pending else None):
                    asked = dict(await self.requests.get())
                pending += str(asked["transcript"])
                due = asked.get("flush") or not asked.get("continue")
            except TimeoutError:
                due = True
            if due or asked.get("max_buffer_delay_ms") == 0:
                await self._speak(pending, asked)
                pending = ""
            if not asked.get("continue"):
                await self._send("done", done=True)
                return

    async def _speak(self, text: str, asked: Mapping[str, Any]) -> None:
        form = asked["output_format"]
        if text.strip():
            said = await self._sim.speech.say(text, int(form["sample_rate"]))
            await self._give(said, ENCODINGS[form["encoding"]], bool(asked.get("add_timestamps")))
            self._at_s += said.seconds
        if asked.get("flush") or asked.get("max_buffer_delay_ms") == 0:
            self._flushes += 1
            await self._send("flush_done", flush_done=True, flush_id=self._flushes)

    async def _give(self, said: Said, encoding: str, timed: bool) -> None:
        number = 0
        async for piece in self._exchange.outputs(said.pieces(PIECE_S)):
            words = [w for w in said.words if int(w.start_s / PIECE_S) == number]
            number += 1
            if timed and words and not self._exchange.silent:
                times = {
                    "words": [w.text for w in words],
                    "start": [round(self._at_s + w.start_s, 3) for w in words],
                    "end": [round(self._at_s + w.end_s, 3) for w in words],
                }
                await self._send("timestamps", word_timestamps=times)
            sound = encode(bytes(len(piece)) if self._exchange.silent else piece, encoding)
            await self._send("chunk", data=base64.b64encode(sound).decode(), step_time=10.0)

    async def _send(self, kind: str, *, done: bool = False, **more: Any) -> None:
        head = {"type": kind, "done": done, "status_code": 206, "context_id": self._name}
        await self._ws.send_json({**head, **more})


def _fault(asked: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """Status, code and message of what is wrong with a request."""
    if not asked.get("context_id") or not isinstance(asked.get("transcript"), str):
        return 400, "invalid_request", "context_id and transcript are required."
    if not known_model(asked.get("model_id"), TTS_MODELS):
        return 400, "model_not_found", "The model is not valid."
    voice = asked.get("voice")
    if not isinstance(voice, dict) or voice.get("mode") != "id" or not voice.get("id"):
        return 400, "invalid_voice", "voice must name a mode and an id."
    if voice["id"] not in VOICES:
        return 404, "voice_not_found", "There is no such voice."
    form = asked.get("output_format")
    form = form if isinstance(form, dict) else {}
    known = form.get("encoding") in ENCODINGS and form.get("sample_rate") in RATES_HZ
    if form.get("container") == "raw" and known:
        return None
    return 400, "invalid_output_format", "The output format is not valid."
