"""Rime's wire: its voice on `/ws3`, and the public catalogue of voices.

https://docs.rime.ai/api-reference/coda/websockets-json (messages),
https://docs.rime.ai/docs/websockets-segment (what is spoken when, and when `done` comes),
https://docs.rime.ai/docs/errors (plain text at the upgrade; later close code 1011, whose reason
begins with the status), https://docs.rime.ai/api-reference/data/voices-v2.
As there, a voice that does not exist is not refused: something is spoken all the same.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from telebot.simulate.asked import json_object
from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.sounding import sounding
from telebot.simulate.speech import encode

PREFIX = "/rime"
CATALOGUE: dict[str, dict[str, list[str]]] = {
    "coda": {"eng": ["albion", "astra", "lyra"], "spa": ["aurelio", "celestino"]},
    "mistv3": {"eng": ["alexis", "astra", "cove"], "spa": ["diego", "isa"]},
    "mistv2": {"eng": ["abbie", "allison", "cove"]},
}
LANGUAGES = {"en": "eng", "es": "spa"}
TIMED = ("eng", "spa", "")  # languages that come with word times; "" is: not said
FORMATS = {"mulaw": "mulaw", "pcmu": "mulaw", "pcm": "linear16", "l16": "linear16"}
LONGEST_TEXT = 1000
DEFAULT_HZ = 24000
SAID = {401: "invalid api key", 429: "Currently at websocket limit", 500: "internal error"}


def routes(sim: Simulator) -> Routes:
    """Everything of Rime that is simulated."""
    wire = _Rime(sim)
    return [
        web.get(f"{PREFIX}/data/voices/all-v2.json", wire.voices),
        web.get(f"{PREFIX}/ws3", wire.socket),
        web.post(f"{PREFIX}/v1/rime-tts", wire.whole),
    ]


class _Rime:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim

    async def voices(self, _: web.Request) -> web.Response:
        return web.json_response(CATALOGUE)

    async def socket(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("rime", "tts")
        try:
            await exchange.reach("connect")
        except Refused as fault:
            return web.Response(text=SAID[fault.status], status=fault.status)
        except Garbage:
            return web.Response(body=b"\x00\xff not a socket")
        if refused := self._unauthorised(request) or _unfit(request.query):
            return refused
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        session = _Session(self._sim, request, ws, exchange)
        try:
            async for message in ws:
                await session.take(message.data)
        finally:
            session.task.cancel()
            await asyncio.gather(session.task, return_exceptions=True)
        return ws

    async def whole(self, request: web.Request) -> web.StreamResponse:
        """A text in one request (https://docs.rime.ai/api-reference/tts)."""
        exchange = self._sim.exchange("rime", "tts")
        try:
            await exchange.reach("connect")
            if refused := self._unauthorised(request):
                return refused
            asked = json_object(await request.text()) or {}
            text, rate_hz = asked.get("text"), asked.get("samplingRate", DEFAULT_HZ)
            if refused := _unfit({name: str(asked[name]) for name in asked if name != "text"}):
                return refused
            if not isinstance(text, str) or not 0 < len(text) <= LONGEST_TEXT:
                return web.Response(text="text must have 1 to 1000 characters", status=400)
            if request.headers.get("Accept") != "audio/pcm" or not isinstance(rate_hz, int):
                return web.Response(text="unsupported audio format", status=400)
            return await sounding(self._sim, request, exchange, text, rate_hz)
        except Refused as fault:
            return web.Response(text=SAID[fault.status], status=fault.status)

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        header = request.headers.get("Authorization")
        if header is None:
            return web.Response(text="Missing Authorization header", status=401)
        key = header.removeprefix("Bearer").strip()
        if not key:
            return web.Response(text="empty apikey", status=401)
        return None if self._sim.good(key) else web.Response(text=SAID[401], status=401)


def _unfit(query: Mapping[str, str]) -> web.Response | None:
    """The refusal of a connection with these parameters."""
    if not query.get("speaker"):
        return web.Response(text="speaker is required", status=400)
    model, said = query.get("modelId", "mistv3"), query.get("lang", "eng")
    if LANGUAGES.get(said, said) not in CATALOGUE.get(model, ()):
        text = f"Language {said} is not supported for model {model}"
        return web.Response(text=text, status=400)
    return None


class _Session:
    """One connection: text that waits, text that is due, and a task that speaks it in order."""

    def __init__(
        self, sim: Simulator, request: web.Request, ws: web.WebSocketResponse, exchange: Exchange
    ) -> None:
        query = request.query
        self._sim = sim
        self._request = request
        self._ws = ws
        self._exchange = exchange
        self._encoding = FORMATS.get(query.get("audioFormat", ""), "linear16")
        self._rate_hz = int(query.get("samplingRate", DEFAULT_HZ))
        self._segment = query.get("segment", "bySentence")
        said = query.get("lang", "")
        self._timed = LANGUAGES.get(said, said) in TIMED
        self._waiting, self._due = "", ""
        self._context: str | None = None
        self._ends = False
        self._more = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def take(self, data: Any) -> None:
        asked = json_object(data) or {}
        text = asked.get("text")
        if isinstance(text, str) and len(text) > LONGEST_TEXT:
            await self._ws.close(code=1011, message=b"400: text is too long")
        elif isinstance(text, str):
            self._context = asked.get("contextId")
            self._waiting += text
            ends = self._waiting.rstrip().endswith((".", "?", "!"))
            if self._segment == "immediate" or (self._segment != "never" and ends):
                self._release()
        elif asked.get("operation") in ("flush", "eos"):
            self._ends = asked["operation"] == "eos"
            self._release()
        elif asked.get("operation") == "clear":
            self._waiting = ""
        else:
            await self._ws.send_json({"type": "error", "message": "malformed message"})

    def _release(self) -> None:
        self._due, self._waiting = self._due + self._waiting, ""
        self._more.set()

    async def _run(self) -> None:
        try:
            while True:
                await self._more.wait()
                self._more.clear()
                await self._speak_due()
                if self._ends:
                    await self._ws.close()
        except Garbage:
            await self._ws.send_str("{\x00\ufffd not json")
        except Refused as fault:
            reason = f"{fault.status}: {SAID[fault.status]}"
            await self._ws.close(code=1011, message=reason.encode())
        except Dropped:
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionError:
            pass  # nobody listens any more

    async def _speak_due(self) -> None:
        spoke = False
        while self._due.strip():
            text, self._due = self._due, ""
            await self._speak(text)
            spoke = True
        if spoke:
            await self._ws.send_json({"type": "done", "contextId": self._context})

    async def _speak(self, text: str) -> None:
        said = await self._sim.speech.say(text, self._rate_hz)
        first = True
        async for piece in self._exchange.outputs(said.pieces()):
            if first and self._timed and said.words and not self._exchange.silent:
                times = {
                    "words": [word.text for word in said.words],
                    "start": [round(word.start_s, 5) for word in said.words],
                    "end": [round(word.end_s, 5) for word in said.words],
                }
                await self._send("timestamps", word_timestamps=times)
            first = False
            sound = encode(bytes(len(piece)) if self._exchange.silent else piece, self._encoding)
            await self._send("chunk", data=base64.b64encode(sound).decode())

    async def _send(self, kind: str, **more: Any) -> None:
        await self._ws.send_json({"type": kind, **more, "contextId": self._context})
