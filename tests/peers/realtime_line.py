"""A server of realtime sessions in a few lines, which keeps to the letter of docs/realtime.md.

It stands in for telebot where the JavaScript client must meet what a healthy server does not do: a
line that breaks, one that goes silent, an answer that never comes. What a client sends that the
page does not allow is a fault, and the tests want none.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from telebot.console import client

KEY = "tb_key-of-the-tests"
PATH = "/v1/voice/realtime"
FIELDS = {"agent", "mode", "sample_rate", "language", "provider", "model", "voice", "instructions"}
MESSAGES = {
    "setLanguage": {"language"},
    "setProvider": {"provider"},
    "text": {"text"},
    "interrupt": set(),
    "reset": set(),
    "ping": set(),
    "end": set(),
}
MOST_BYTES = 64 * 1024
PIECE_S = 0.1


@dataclass
class Session:
    """One conversation as the server sees it."""

    socket: web.WebSocketResponse
    request: web.Request
    start: dict[str, Any]
    heard: bytearray = field(default_factory=bytearray)
    messages: list[dict[str, Any]] = field(default_factory=list)
    deaf: bool = False  # takes everything and answers nothing

    @property
    def rate_hz(self) -> int:
        return int(self.start.get("sample_rate", 16000))

    async def say(self, kind: str, **content: Any) -> None:
        await self.socket.send_str(json.dumps({"type": kind, **content}))

    async def play(self, pcm16: bytes, ahead_s: float = 1.0) -> None:
        """As it is made: in pieces, so far ahead of real time."""
        size = int(self.rate_hz * PIECE_S) * 2
        for n, at in enumerate(range(0, len(pcm16), size)):
            await self.socket.send_bytes(pcm16[at : at + size])
            if n * PIECE_S >= ahead_s:
                await asyncio.sleep(PIECE_S)

    def cut(self) -> None:
        """The network breaks: no close, no goodbye."""
        assert self.request.transport
        self.request.transport.abort()


Scene = Callable[[Session, dict[str, Any] | bytes | None], Awaitable[None]]


class RealtimeLine:
    """`scene(session, message)` is awaited for each message, first with None (it is ready)."""

    def __init__(self, scene: Scene, port: int = 0) -> None:
        self.sessions: list[Session] = []
        self.faults: list[str] = []
        self.url = ""
        self.port = port
        self._scene = scene
        self._tokens: dict[str, dict[str, Any]] = {}
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> RealtimeLine:
        app = web.Application()
        app.router.add_post(f"{PATH}/session", self._session)
        app.router.add_get(PATH, self._socket)
        client.setup(app)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        host, self.port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _session(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            refused = {"error": {"message": "That key is not known here."}}
            return web.json_response(refused, status=401)
        body = await request.json()
        if not body.keys() <= FIELDS:
            return web.json_response({"error": {"message": "unknown fields"}}, status=422)
        token = secrets.token_urlsafe(16)
        self._tokens[token] = body
        url = f"{self.url.replace('http', 'ws', 1)}{PATH}"
        return web.json_response({"token": token, "url": url, "protocol": "telebot.realtime"})

    async def _socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=["telebot.realtime"], max_msg_size=MOST_BYTES)
        await socket.prepare(request)
        offered = [one.strip() for one in request.headers["Sec-WebSocket-Protocol"].split(",")]
        tokens = [one.removeprefix("telebot.token.") for one in offered[1:]]
        fixed = self._tokens.pop(tokens[0], None) if len(tokens) == 1 else None
        if offered[0] != "telebot.realtime" or fixed is None:
            await socket.close(code=4401, message=b"the token is not known")
            return socket
        start = await socket.receive_json(timeout=30)
        changed = {name for name in start.keys() & fixed.keys() if start[name] != fixed[name]}
        if start.pop("type") != "start" or changed or not start.keys() <= FIELDS:
            await socket.close(code=4400)
            return socket
        session = Session(socket, request, fixed | start)
        self.sessions.append(session)
        await session.say("ready", session="rt_1", call="call-1", sample_rate=session.rate_hz)
        await self._scene(session, None)
        await self._converse(session)
        return socket

    async def _converse(self, session: Session) -> None:
        async for message in session.socket:
            if message.type is WSMsgType.BINARY:
                if len(message.data) % 2 or not message.data:
                    self.faults.append(f"{len(message.data)} bytes are no samples")
                session.heard += message.data
                await self._scene(session, message.data)
                continue
            if message.type is WSMsgType.ERROR:
                self.faults.append(repr(session.socket.exception()))
                break
            told = json.loads(message.data)
            kind = told.get("type")
            if told.keys() - {"type", "id"} != MESSAGES.get(kind):
                self.faults.append(message.data)
            session.messages.append(told)
            await self._answer(session, told)
            await self._scene(session, told)

    async def _answer(self, session: Session, told: dict[str, Any]) -> None:
        if session.deaf:
            return
        if told["type"] == "end":
            await session.say("ended", reason="caller_hangup")
            await session.socket.close(code=1000)
        elif told["type"] == "ping":
            await session.say("pong", id=told.get("id"))
        else:
            await session.say("ok", id=told.get("id"), of=told["type"])
