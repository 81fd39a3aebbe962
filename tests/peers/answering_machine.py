"""A server of Twilio's kind in a few lines: greets, says what it is told to, hears, hangs up.

It stands in for telebot in the tests of the phone alone, so that a fault of the one cannot hide a
fault of the other. It checks what the phone sends as strictly as Twilio's documents say it.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web
from twilio.request_validator import RequestValidator

SECRET = "a secret of the tests"
QUIET_FRAMES = 35  # 700 ms without speech end a turn

Reply = Callable[["Talk", int], Awaitable[None]]


@dataclass
class Talk:
    """One call as the machine sees it."""

    socket: web.WebSocketResponse
    stream_sid: str = ""
    start: dict[str, Any] = field(default_factory=dict)
    heard: bytearray = field(default_factory=bytearray)
    messages: list[dict[str, Any]] = field(default_factory=list)
    marks: list[str] = field(default_factory=list)
    digits: str = ""
    stopped: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def send(self, event: str, **content: Any) -> None:
        message: dict[str, Any] = {"event": event, "streamSid": self.stream_sid}
        if content:
            message[event] = content
        await self.socket.send_str(json.dumps(message))

    async def play(self, ulaw: bytes, piece: int = 800) -> None:
        for at in range(0, len(ulaw), piece):
            payload = base64.b64encode(ulaw[at : at + piece]).decode()
            await self.send("media", payload=payload)


class AnsweringMachine:
    """`reply(talk, n)` is awaited after the n-th turn of the caller (0: the call has begun)."""

    def __init__(self, reply: Reply, twiml: str | None = None, status: int = 200) -> None:
        self.reply = reply
        self.talks: list[Talk] = []
        self.forms: list[dict[str, str]] = []
        self.asked_after: list[str] = []
        self.url = ""
        self._twiml = twiml
        self._status = status
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> AnsweringMachine:
        app = web.Application()
        app.router.add_post("/local/voice", self._voice)
        app.router.add_post("/local/after", self._after)
        app.router.add_get("/local/media", self._media)
        self._runner = web.AppRunner(app, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _voice(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        if not RequestValidator(SECRET).validate(str(request.url), form, signature):
            return web.Response(status=403)
        self.forms.append({**form, **request.query})
        media = str(request.url.with_scheme("ws").with_path("/local/media").with_query(None))
        twiml = self._twiml or (
            f'<Response><Connect><Stream url="{media}"><Parameter name="token" value="t1"/>'
            "</Stream></Connect><Redirect>/local/after</Redirect></Response>"
        )
        return web.Response(text=twiml, content_type="text/xml", status=self._status)

    async def _after(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        signature = request.headers.get("X-Twilio-Signature", "")
        assert RequestValidator(SECRET).validate(str(request.url), form, signature)
        self.asked_after.append(form["CallSid"])
        return web.Response(text="<Response><Hangup/></Response>", content_type="text/xml")

    async def _media(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        talk = Talk(socket)
        self.talks.append(talk)
        turn = _Turn()
        try:
            async for message in socket:
                assert message.type is WSMsgType.TEXT
                tree = json.loads(message.data)
                talk.messages.append(tree)
                if await _take(talk, tree, turn):
                    await self.reply(talk, turn.number)
        finally:
            talk.over.set()
        return socket


@dataclass
class _Turn:
    number: int = 0
    loud: int = 0
    quiet: int = 0

    def over(self, ulaw: bytes) -> bool:
        """True at the frame that ends a turn."""
        loud = any(byte & 0x7F < 0x50 for byte in ulaw)
        self.quiet = 0 if loud else self.quiet + 1
        self.loud += loud
        if self.loud < 5 or self.quiet < QUIET_FRAMES:
            return False
        self.loud = 0
        self.number += 1
        return True


async def _take(talk: Talk, tree: dict[str, Any], turn: _Turn) -> bool:
    match tree["event"]:
        case "start":
            talk.start, talk.stream_sid = tree["start"], tree["streamSid"]
            return True
        case "media":
            ulaw = base64.b64decode(tree["media"]["payload"], validate=True)
            talk.heard += ulaw
            return turn.over(ulaw)
        case "mark":
            talk.marks.append(tree["mark"]["name"])
        case "dtmf":
            talk.digits += tree["dtmf"]["digit"]
            if talk.digits.endswith("#"):
                turn.number += 1
                return True
        case "stop":
            talk.stopped = True
    return False
