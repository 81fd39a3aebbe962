"""Gemini Live's wire: speech in, speech out, over one WebSocket; JSON in binary frames.

https://ai.google.dev/api/live (messages), https://ai.google.dev/gemini-api/docs/live-guide (16-bit
PCM at the rate its type names in, at 24 kHz out), …/docs/live-session (resumption); the order after
an interruption and the field names as google-genai's `types.LiveServerContent` describes them; the
close codes as users meet them (https://github.com/livekit/agents/issues/2274,
https://github.com/sohzm/cheating-daddy/pull/455, https://github.com/google-gemini/cookbook/issues).
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from typing import Any

from aiohttp import WSMsgType, web

from telebot.simulate.faults import Dropped, Exchange, Garbage, Refused
from telebot.simulate.gemini_setup import Closed, Setup, asked, audio_of, read_setup, turns_of
from telebot.simulate.gemini_tokens import Tokens
from telebot.simulate.server import Routes, Simulator
from telebot.simulate.speech import Hearing

PATH = "/gemini/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent"
CONSTRAINED = PATH.replace("v1beta", "v1alpha") + "Constrained"
OUT_HZ = 24000
SLOW_S = 0.2
KEPT = 1000  # sessions that can be resumed
CLOSES = {
    401: Closed(1007, "API key not valid. Please pass a valid API key."),
    429: Closed(1011, "You exceeded your current quota, please check your plan and billing"),
    500: Closed(1011, "Internal error encountered."),
}


def routes(sim: Simulator) -> Routes:
    """The socket of Gemini Live, and the tokens that open it once."""
    live = _Live(sim)
    return [
        web.get(PATH, live.open),
        web.get(CONSTRAINED, live.open),
        web.post("/gemini/v1alpha/auth_tokens", live.tokens.create),
    ]


class _Live:
    def __init__(self, sim: Simulator) -> None:
        self._sim = sim
        self._handles = itertools.count(1)
        self._kept: dict[str, list[dict[str, Any]]] = {}  # handle → what was said so far
        self.tokens = Tokens(sim)

    async def open(self, request: web.Request) -> web.StreamResponse:
        exchange = self._sim.exchange("gemini", "realtime")
        refused: Closed | None = None
        try:
            await exchange.reach("connect")
        except Refused as fault:
            if fault.status != 401:
                return web.Response(status=fault.status)
            refused = CLOSES[401]
        fixed: dict[str, Any] = {}
        if request.path == CONSTRAINED:
            found = self.tokens.spend(request.query.get("access_token", ""))
            refused, fixed = (CLOSES[401], {}) if found is None else (refused, found)
        elif not self._sim.good(request.headers.get("x-goog-api-key") or request.query.get("key")):
            refused = CLOSES[401]
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        session = _Session(self._sim, request, socket, exchange)
        try:
            if refused:
                raise refused
            setup = read_setup((await socket.receive()).data, fixed)
            session.begin(setup, self._resumed(setup.handle))
            await session.tell({"setupComplete": {}})
            if setup.resumable:
                handle = f"handle-{next(self._handles)}"
                self._kept[handle] = session.said
                if len(self._kept) > KEPT:
                    del self._kept[next(iter(self._kept))]
                update = {"newHandle": handle, "resumable": True}
                await session.tell({"sessionResumptionUpdate": update})
            await session.listen()
        except Closed as closed:
            await session.close(closed)
        finally:
            await session.hush()
        return socket

    def _resumed(self, handle: str | None) -> list[dict[str, Any]]:
        if handle is None:
            return []
        if handle not in self._kept:
            raise Closed(1007, "Request contains an invalid argument.")
        return self._kept[handle]


class _Session:
    """One conversation: it hears, and one reply at most is on its way."""

    def __init__(
        self,
        sim: Simulator,
        request: web.Request,
        socket: web.WebSocketResponse,
        exchange: Exchange,
    ) -> None:
        self._sim = sim
        self._request = request
        self._socket = socket
        self._exchange = exchange
        self._reply: asyncio.Task[None] | None = None
        self._hearing: Hearing | None = None

    def begin(self, setup: Setup, said: list[dict[str, Any]]) -> None:
        self._setup = setup
        self.said = said

    async def tell(self, message: dict[str, Any]) -> None:
        if not self._exchange.silent:
            await self._socket.send_bytes(json.dumps(message).encode())

    async def close(self, closed: Closed) -> None:
        await self._socket.close(code=closed.code, message=str(closed).encode()[:123])

    async def hush(self) -> bool:
        """Stop the reply; whether there was one."""
        task, self._reply = self._reply, None
        if task is None or task.done():
            return False
        task.cancel()
        await asyncio.wait([task])
        return True

    async def listen(self) -> None:
        """Until the caller leaves. Raises `Closed`."""
        async for message in self._socket:
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                continue
            kind, content = asked(message.data)
            if kind == "clientContent":
                self.said += turns_of(content)
            elif kind == "realtimeInput":
                await self._hear(content)
            if self._exchange.slow:
                await asyncio.sleep(SLOW_S)

    async def _hear(self, given: dict[str, Any]) -> None:
        if "audio" in given:
            await self._audio(*audio_of(given["audio"]))
        if "activityStart" in given and await self.hush():
            await self._interrupted()
        if "activityEnd" in given and self._hearing is not None:
            await self._begin(self._hearing.take(), self._hearing.rate_hz)
        if "text" in given:
            if given["text"].strip():
                self.said.append({"role": "user", "content": given["text"]})
            await self._begin(None, 0)

    async def _audio(self, pcm16: bytes, rate_hz: int) -> None:
        if self._hearing is None:
            self._hearing = Hearing(rate_hz)
        heard = self._hearing
        ended = heard.feed(pcm16)
        if self._setup.manual:
            return
        if heard.heard_speech and await self.hush():
            await self._interrupted()
        if ended:
            await self._begin(heard.take(), heard.rate_hz)

    async def _begin(self, pcm16: bytes | None, rate_hz: int) -> None:
        await self.hush()
        self._reply = asyncio.create_task(self._run(pcm16, rate_hz))

    async def _interrupted(self) -> None:
        await self.tell({"serverContent": {"interrupted": True}})
        await self.tell({"serverContent": {"turnComplete": True}})

    async def _run(self, pcm16: bytes | None, rate_hz: int) -> None:
        """One reply, with the faults that befall it."""
        try:
            if pcm16 is not None:
                text = await self._sim.speech.hear(pcm16, rate_hz)
                if self._setup.hears:
                    await self.tell({"serverContent": {"inputTranscription": {"text": text}}})
                self.said.append({"role": "user", "content": text})
            await self._speak()
        except Refused as fault:
            await self.close(CLOSES[fault.status])
        except Garbage:
            await self._socket.send_bytes(b"\x00\xff not json")
        except Dropped:
            if self._request.transport is not None:
                self._request.transport.abort()
        except ConnectionResetError:
            pass

    async def _speak(self) -> None:
        words = self._sim.answers.tokens(self.said)
        pieces = (await self._sim.speech.say("".join(words), OUT_HZ)).pieces()
        told = 0
        async for number, piece in _numbered(self._exchange, pieces):
            data = base64.b64encode(bytes(len(piece)) if self._exchange.silent else piece).decode()
            blob = {"mimeType": f"audio/pcm;rate={OUT_HZ}", "data": data}
            part = {"modelTurn": {"parts": [{"inlineData": blob}]}}
            await self.tell({"serverContent": part})
            upto = len(words) * (number + 1) // len(pieces)
            if self._setup.transcribes and upto > told:
                text = {"text": "".join(words[told:upto])}
                await self.tell({"serverContent": {"outputTranscription": text}})
                told = upto
        if self._exchange.silent:
            await self._exchange.stay()
        self.said.append({"role": "assistant", "content": "".join(words)})
        await self.tell({"serverContent": {"generationComplete": True}})
        count = {"promptTokenCount": 50, "responseTokenCount": len(words)}
        usage = {**count, "totalTokenCount": sum(count.values())}
        await self.tell({"serverContent": {"turnComplete": True}, "usageMetadata": usage})


async def _numbered(exchange: Exchange, pieces: list[bytes]) -> Any:
    number = 0
    async for piece in exchange.outputs(pieces):
        yield number, piece
        number += 1
