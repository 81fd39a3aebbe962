"""A SIP phone on a loopback port that says exactly what a test wants, and the server it rings."""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge_server import Listeners, MemoryLog

from telebot.call.admission import Admission
from telebot.call.tokens import StreamTokens
from telebot.settings import load
from telebot.sip.server import SipServer

WITHIN_S = 20.0  # this machine may be busy; nobody waits for it here
SDP = (
    "v=0\r\no=- {version} {version} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {types}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na={way}\r\n"
)


def sdp(port: int = 40_000, types: str = "0 101", way: str = "sendrecv", version: int = 1) -> str:
    return SDP.format(port=port, types=types, way=way, version=version)


@dataclass
class Message:
    """A message as it came."""

    text: str
    source: tuple[str, int]

    @property
    def first(self) -> str:
        return self.text.split("\r\n", 1)[0]

    @property
    def status(self) -> int:
        return int(self.first.split()[1]) if self.first.startswith("SIP/2.0 ") else 0

    @property
    def method(self) -> str:
        return "" if self.status else self.first.split()[0]

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    def header(self, name: str) -> str:
        found = re.search(rf"^{re.escape(name)}:[ \t]*(.*?)\r$", self.text, re.I | re.M)
        return found.group(1) if found else ""


class Phone(asyncio.DatagramProtocol):
    """One user agent. `calls` of it are `Dialog`s; nothing is answered by itself."""

    def __init__(self, server: tuple[str, int]) -> None:
        self.server = server
        self.heard: list[Message] = []
        self._new = asyncio.Event()
        self._ids = itertools.count(1)
        self.port = 0
        self.leaving = False  # the test is over: a BYE is answered by itself

    @classmethod
    async def open(cls, server: tuple[str, int], host: str = "127.0.0.1") -> Phone:
        phone = cls(server)
        loop = asyncio.get_running_loop()
        phone.transport, _ = await loop.create_datagram_endpoint(
            lambda: phone, local_addr=(host, 0)
        )
        taken = phone.transport.get_extra_info("socket")
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        phone.host, phone.port = phone.transport.get_extra_info("sockname")
        return phone

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        message = Message(data.decode("utf-8", "replace"), addr)
        self.heard.append(message)
        self._new.set()
        if self.leaving and message.method == "BYE":
            self.dialog().reply(message)

    def send(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.transport.sendto(data, self.server)

    async def hear(self, wanted: Any) -> Message:
        """The first message not taken yet for which `wanted` (a status, a method, a condition)
        holds; it is taken."""
        if isinstance(wanted, int):
            condition = lambda m: m.status == wanted  # noqa: E731
        elif isinstance(wanted, str):
            condition = lambda m: m.method == wanted  # noqa: E731
        else:
            condition = wanted
        async with asyncio.timeout(WITHIN_S):
            while True:
                for message in self.heard:
                    if condition(message):
                        self.heard.remove(message)
                        return message
                self._new.clear()
                await self._new.wait()

    def dialog(self, to: str = "100", **headers: str) -> Dialog:
        return Dialog(self, to, f"call-{next(self._ids)}-{self.port}", headers)

    def close(self) -> None:
        self.transport.close()


@dataclass
class Dialog:
    """One call of a phone: writes its requests."""

    phone: Phone
    to: str
    call_id: str
    headers: dict[str, str] = field(default_factory=dict)
    to_tag: str = ""
    cseq: int = 0
    branch: str = ""

    def request(
        self,
        method: str,
        body: str = "",
        *,
        kind: str = "application/sdp",
        cseq: int | None = None,
        branch: str = "",
        **extra: str,
    ) -> str:
        """A request of this dialog, as text."""
        if cseq is None:
            self.cseq += 1
            cseq = self.cseq
        self.branch = branch or f"z9hG4bK{self.call_id}{method}{cseq}"
        host, port = self.phone.host, self.phone.port
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        lines = [
            f"{method} sip:{self.to}@{self.phone.server[0]}:{self.phone.server[1]} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch={self.branch};rport",
            f"From: Caller <sip:+441632960001@{host}:{port}>;tag=from{self.call_id}",
            f"To: <sip:{self.to}@{self.phone.server[0]}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:me@{host}:{port}>",
        ]
        named = {name.replace("_", "-"): value for name, value in {**self.headers, **extra}.items()}
        lines += [f"{name}: {value}" for name, value in named.items()]
        if body:
            lines.append(f"Content-Type: {kind}")
        lines += [f"Content-Length: {len(body.encode())}", "", body]
        return "\r\n".join(lines)

    def send(self, method: str, body: str = "", **options: Any) -> None:
        self.phone.send(self.request(method, body, **options))

    async def answered(self, body: str | None = None, **extra: str) -> Message:
        """Dial until the 200, and acknowledge it."""
        self.send("INVITE", sdp() if body is None else body, **extra)
        answer = await self.phone.hear(200)
        self.to_tag = re.search(r"tag=([^;\s]+)", answer.header("To")).group(1)  # type: ignore[union-attr]
        self.ack()
        return answer

    def ack(self, body: str = "") -> None:
        self.send("ACK", body, cseq=self.cseq, branch=f"z9hG4bK{self.call_id}ack{self.cseq}")

    def reply(self, request: Message, status: int = 200, body: str = "", **extra: str) -> None:
        """Answer a request of the server's."""
        copied = [
            line
            for line in request.text.split("\r\n\r\n")[0].split("\r\n")[1:]
            if re.match(r"(via|from|to|call-id|cseq):", line, re.I)
        ]
        contact = f"Contact: <sip:me@{self.phone.host}:{self.phone.port}>"
        lines = [f"SIP/2.0 {status} Whatever", *copied, contact]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in extra.items()]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self.phone.send("\r\n".join(lines))


@dataclass
class Line:
    """A SIP server on a loopback port with conversations that write down what they are told."""

    server: SipServer
    log: MemoryLog
    listeners: Listeners
    admission: Admission
    port: int
    phones: list[Phone] = field(default_factory=list)

    async def phone(self, host: str = "127.0.0.1") -> Phone:
        self.phones.append(await Phone.open(("127.0.0.1", self.port), host))
        return self.phones[-1]

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():  # noqa: ASYNC110  # any condition, of either side
                await asyncio.sleep(0.002)

    def events(self) -> list[str]:
        return [event.name for event in self.log.events]


@asynccontextmanager
async def sip_line(
    folder: Path,
    *,
    max_calls: int = 10,
    trunks: str = "",
    environ: Mapping[str, str] | None = None,
    speak: Any = None,
    **overrides: Any,
) -> AsyncIterator[Line]:
    """A server; `trunks` is the text of its trunks.yaml; `overrides` are settings, `__` for the
    dot; `speak` is the voice of warm transfers."""
    (folder / "trunks.yaml").write_text(trunks or "trunks: {}\n")
    settings = load(
        environ=environ or {},
        overrides={
            "server.data": str(folder),
            "server.sip": "127.0.0.1:0",
            "config_dir": str(folder),
            **{name.replace("__", "."): value for name, value in overrides.items()},
        },
    )
    log, listeners = MemoryLog(), Listeners()
    ids = itertools.count(1)
    admission = Admission(
        log=log,
        tokens=StreamTokens("k" * 32, 300.0, lambda: datetime.now(UTC)),
        numbers={"100": "front-desk", "200": "echo"},
        agents=frozenset({"front-desk", "echo"}),
        max_calls=max_calls,
        clock=time.monotonic,
        wall_clock=lambda: datetime.now(UTC),
        new_id=lambda: f"id{next(ids)}",
    )
    server = SipServer(settings, admission, listeners, "sip", speak)
    await server.open()
    line = Line(server, log, listeners, admission, int(server.address.rpartition(":")[2]))
    try:
        yield line
    finally:
        for phone in line.phones:
            phone.leaving = True
        await server.close()
        for phone in line.phones:
            phone.close()
