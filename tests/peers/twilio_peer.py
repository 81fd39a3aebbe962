"""Twilio as a peer: signed webhooks, the media stream, and the REST that ends calls.

Written from Twilio's documentation, strict where it is: what our server sends must be exactly what
Twilio takes.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import aiohttp
from aiohttp import web
from twilio.request_validator import RequestValidator
from yarl import URL

FRAME = b"\x7e" * 160
_calls = itertools.count(1)


def call_sid() -> str:
    """A new call's id."""
    return f"CA{next(_calls):032x}"


@dataclass
class Reply:
    """An answer to a webhook."""

    status: int
    text: str

    @property
    def twiml(self) -> ElementTree.Element:
        root = ElementTree.fromstring(self.text)
        assert root.tag == "Response"
        return root

    @property
    def verbs(self) -> list[str]:
        return [verb.tag for verb in self.twiml]

    @property
    def stream_url(self) -> str:
        return str(self.twiml.find("Connect/Stream").attrib["url"])

    @property
    def token(self) -> str:
        [parameter] = self.twiml.findall("Connect/Stream/Parameter")
        assert parameter.attrib["name"] == "token"
        return parameter.attrib["value"]

    @property
    def redirect(self) -> str:
        return str(self.twiml.findtext("Redirect"))


class Twilio:
    """Makes calls to a server, as Twilio does."""

    def __init__(self, http: aiohttp.ClientSession, server: str, secret: str) -> None:
        self.http = http
        self.server = server
        self.validator = RequestValidator(secret)

    async def webhook(
        self,
        path: str,
        fields: dict[str, Any] | list[tuple[str, str]],
        *,
        signed_as: str = "",
        headers: dict[str, str] | None = None,
        signature: str | None = None,
    ) -> Reply:
        """POST a form, signed for the URL itself or for `signed_as`."""
        url = path if path.startswith("http") else self.server + path
        pairs = list(fields.items()) if isinstance(fields, dict) else fields
        if signature is None:
            by_name: dict[str, list[str]] = {}
            for name, value in pairs:
                by_name.setdefault(name, []).append(value)
            signature = self.validator.compute_signature(signed_as or url, _Lists(by_name))
        return await self.post(
            url,
            urlencode(pairs).encode(),
            {
                "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
                "X-Twilio-Signature": signature,
                **(headers or {}),
            },
        )

    async def post(self, url: str, body: bytes, headers: dict[str, str]) -> Reply:
        """POST bytes as they are."""
        async with self.http.post(URL(url, encoded=True), data=body, headers=headers) as response:
            return Reply(response.status, await response.text())

    async def call(self, path: str = "/twilio/voice", **fields: str) -> tuple[str, Reply]:
        """A new call's voice webhook."""
        sid = fields.get("CallSid") or call_sid()
        reply = await self.webhook(path, {**offer(sid), **fields})
        return sid, reply

    @asynccontextmanager
    async def stream(self, sid: str, reply: Reply, **kw: Any) -> AsyncIterator[Stream]:
        """The media stream of an answered call, up to and with `start`."""
        async with self.socket(reply.stream_url) as stream:
            await stream.start(sid, reply.token, **kw)
            yield stream

    @asynccontextmanager
    async def socket(self, url: str) -> AsyncIterator[Stream]:
        async with self.http.ws_connect(url, compress=0, max_msg_size=0) as socket:
            yield Stream(socket)


class _Lists(dict[str, list[str]]):
    def getall(self, name: str) -> list[str]:
        return self[name]


def offer(sid: str) -> dict[str, str]:
    """The fields of a voice webhook."""
    return {
        "AccountSid": "AC" + "0" * 31 + "1",
        "ApiVersion": "2010-04-01",
        "CallSid": sid,
        "CallStatus": "ringing",
        "CallerName": "",
        "Direction": "inbound",
        "From": "+441632960001",
        "To": "+441632960000",
    }


class Stream:
    """One media stream from Twilio's side."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.sid = f"MZ{next(_calls):032x}"
        self.played: list[bytes] = []
        self.clears = 0
        self._sequence = itertools.count(1)
        self._chunk = itertools.count(1)

    async def start(self, call: str, token: str, **changes: Any) -> None:
        """`connected` and `start`."""
        await self.send({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        await self.send(start_message(self.sid, call, token) | changes)

    async def speak(self, frames: int = 1, payload: bytes = FRAME) -> None:
        """Caller audio in 20 ms frames."""
        for _ in range(frames):
            chunk = next(self._chunk)
            await self.event(
                "media",
                {
                    "track": "inbound",
                    "chunk": str(chunk),
                    "timestamp": str(chunk * 20),
                    "payload": base64.b64encode(payload).decode(),
                },
            )

    async def event(self, name: str, body: dict[str, Any]) -> None:
        """Any message of the stream."""
        number = str(next(self._sequence))
        await self.send(
            {"event": name, "sequenceNumber": number, name: body, "streamSid": self.sid}
        )

    async def stop(self) -> None:
        """Twilio's goodbye."""
        await self.event("stop", {"accountSid": "AC0", "callSid": "CA0"})

    async def send(self, message: dict[str, Any] | str | bytes) -> None:
        if isinstance(message, bytes):
            await self.socket.send_bytes(message)
        else:
            text = message if isinstance(message, str) else json.dumps(message)
            await self.socket.send_str(text)

    async def next(self) -> dict[str, Any]:
        """Our server's next message, checked against what Twilio takes."""
        async with asyncio.timeout(30):
            message = await self.socket.receive()
        assert message.type is aiohttp.WSMsgType.TEXT, (message.type, message.data)
        tree: dict[str, Any] = json.loads(message.data)
        assert tree["streamSid"] == self.sid
        match tree["event"]:
            case "media":
                assert set(tree) == {"event", "streamSid", "media"}
                self.played.append(base64.b64decode(tree["media"]["payload"], validate=True))
            case "mark":
                assert tree["mark"]["name"]
            case "clear":
                assert set(tree) == {"event", "streamSid"}
                self.clears += 1
            case other:
                raise AssertionError(other)
        return tree

    async def closed(self) -> int | None:
        """The close code; drops what comes before it."""
        async with asyncio.timeout(30):
            while not self.socket.closed:
                await self.socket.receive()
        return self.socket.close_code


def start_message(stream: str, call: str, token: str) -> dict[str, Any]:
    """Twilio's `start`."""
    return {
        "event": "start",
        "sequenceNumber": "1",
        "start": {
            "accountSid": "AC0",
            "streamSid": stream,
            "callSid": call,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {"token": token},
        },
        "streamSid": stream,
    }


@dataclass
class Made:
    """A call that Twilio was asked to make."""

    sid: str
    fields: dict[str, str]

    def webhook(self, status: str, **more: str) -> dict[str, str]:
        """The fields of a webhook about it."""
        told = {"From": self.fields["From"], "To": self.fields["To"], "Direction": "outbound-api"}
        return offer(self.sid) | told | {"CallStatus": status} | more


@dataclass
class Rest:
    """Twilio's call resource: what was asked of it, and how it is told to behave."""

    url: str = ""
    made: list[Made] = field(default_factory=list)
    statuses: dict[str, str] = field(default_factory=dict)  # of calls, by sid
    told: list[tuple[str, str]] = field(default_factory=list)  # sid and status, whenever asked
    rooms: dict[str, str] = field(default_factory=dict)  # status of conferences, by name
    slow_s: float = 0.0  # before a change of a call is answered
    refuses: set[str] = field(default_factory=set)  # calls that are over for Twilio
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    answers: list[int | str] = field(default_factory=list)  # one each request
    then: int | str = 200  # and always after those
    unauthorized: int = 0

    def forget(self) -> None:
        """Be as new for the next test."""
        vars(self).update(vars(Rest(self.url)))

    async def update(self, request: web.Request) -> web.StreamResponse:
        """POST /2010-04-01/Accounts/{account}/Calls/{call}.json"""
        fields = await self._fields(request)
        if fields is None:
            return self._error(401, 20003, "Authenticate")
        self.asked.append((request.match_info["call"], fields))
        await asyncio.sleep(self.slow_s)
        if request.match_info["call"] in self.refuses:
            return self._error(400, 21220, "Call is not in-progress. Cannot redirect.")
        told = {"sid": request.match_info["call"], "status": "completed"}
        return await self._answer(request, told, 200)

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /2010-04-01/Accounts/{account}/Calls.json: who is to be rung up, and what is done
        once they answer."""
        fields = await self._fields(request)
        if fields is None:
            return self._error(401, 20003, "Authenticate")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", fields.get("To", "")):
            return self._error(400, 21211, "Invalid 'To' Phone Number")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", fields.get("From", "")):
            return self._error(400, 21212, "Invalid 'From' Number")
        if ("Url" in fields) == ("Twiml" in fields):
            return self._error(400, 21205, "Url or Twiml")
        made = Made(call_sid(), fields)
        self.made.append(made)
        return await self._answer(request, {"sid": made.sid, "status": "queued"}, 201)

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """GET /2010-04-01/Accounts/{account}/Calls/{call}.json"""
        if await self._fields(request) is None:
            return self._error(401, 20003, "Authenticate")
        sid = request.match_info["call"]
        if all(made.sid != sid for made in self.made):
            return self._error(404, 20404, "no such call")
        status = self.statuses.get(sid, "queued")
        self.told.append((sid, status))
        return await self._answer(request, {"sid": sid, "status": status}, 200)

    async def conferences(self, request: web.Request) -> web.StreamResponse:
        """GET /2010-04-01/Accounts/{account}/Conferences.json: by name, in progress unless another
        status is asked for."""
        if await self._fields(request) is None:
            return self._error(401, 20003, "Authenticate")
        status = request.query.get("Status", "in-progress")
        found = [
            {"sid": f"CF{n:032x}", "friendly_name": name, "status": status}
            for n, (name, is_now) in enumerate(self.rooms.items())
            if name == request.query.get("FriendlyName", name) and is_now == status
        ]
        page: dict[str, Any] = {"conferences": found, "page": 0, "page_size": 50, "uri": "/"}
        return web.json_response(page | {"first_page_uri": "/", "next_page_uri": None})

    async def _fields(self, request: web.Request) -> dict[str, str] | None:
        """The form; None without a good login."""
        scheme, _, login = request.headers.get("Authorization", "").partition(" ")
        account, _, token = base64.b64decode(login).decode().partition(":")
        if scheme != "Basic" or account != request.match_info["account"] or not token:
            self.unauthorized += 1
            return None
        return {str(name): str(value) for name, value in (await request.post()).items()}

    async def _answer(
        self, request: web.Request, told: dict[str, str], status: int
    ) -> web.StreamResponse:
        answer = self.answers.pop(0) if self.answers else self.then
        if answer == "hang":
            await asyncio.sleep(3600)
        if answer == "drop" and request.transport is not None:
            request.transport.abort()
        if answer in ("drop", "junk"):
            return web.Response(text="<html>")
        if answer == 200:
            return web.json_response(told, status=status)
        if answer == "gone":
            return self._error(400, 21220, "Call is not in-progress. Cannot redirect.")
        return self._error(int(answer), 20404 if answer == 404 else 20500, "no")

    def _error(self, status: int, code: int, message: str) -> web.Response:
        body = {"code": code, "message": message, "more_info": "", "status": status}
        return web.json_response(body, status=status)


@asynccontextmanager
async def rest() -> AsyncIterator[Rest]:
    """The REST on a loopback port."""
    peer = Rest()
    app = web.Application()
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls.json", peer.create)
    app.router.add_post("/2010-04-01/Accounts/{account}/Calls/{call}.json", peer.update)
    app.router.add_get("/2010-04-01/Accounts/{account}/Calls/{call}.json", peer.fetch)
    app.router.add_get("/2010-04-01/Accounts/{account}/Conferences.json", peer.conferences)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    peer.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield peer
    finally:
        await runner.cleanup()
