"""SIP by hand: messages as a test writes them, over one UDP socket, with all that comes back.
It retransmits nothing and hides nothing."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import cast

from program import HOST, free_ports

Address = tuple[str, int]
_numbers = itertools.count(1)
STATUS = re.compile(r"SIP/2\.0 (\d{3})")


@dataclass(frozen=True)
class Message:
    """One that arrived."""

    text: str
    source: Address

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        found = STATUS.match(self.text)
        return int(found[1]) if found else 0

    @property
    def method(self) -> str:
        """Of a request, or of the request that this response answers."""
        if self.status:
            return self.header("CSeq").split()[-1]
        return self.text.split(" ", 1)[0]

    def header(self, name: str) -> str:
        """The first of that name; empty where there is none."""
        return next(iter(self.headers(name)), "")

    def headers(self, name: str) -> list[str]:
        head = self.text.partition("\r\n\r\n")[0]
        return re.findall(rf"^{name}[ \t]*:[ \t]*(.*?)\r?$", head, re.MULTILINE | re.IGNORECASE)

    @property
    def body(self) -> str:
        return self.text.partition("\r\n\r\n")[2]

    @property
    def media_port(self) -> int:
        found = re.search(r"^m=audio (\d+) ", self.body, re.MULTILINE)
        assert found, self.text
        return int(found[1])


def sdp(
    port: int,
    payloads: str = "0 101",
    ptime: int = 20,
    direction: str = "sendrecv",
    host: str = HOST,
) -> str:
    """An offer of G.711 and telephone-event."""
    lines = ["v=0", f"o=test 1 1 IN IP4 {host}", "s=-", f"c=IN IP4 {host}", "t=0 0"]
    lines += [f"m=audio {port} RTP/AVP {payloads}"]
    names = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000"}
    lines += [f"a=rtpmap:{kind} {names[kind]}" for kind in payloads.split() if kind in names]
    lines += [f"a=ptime:{ptime}", f"a={direction}"]
    return "\r\n".join(lines) + "\r\n"


@dataclass
class Request:
    """A request of one dialog; `text()` is what goes out."""

    method: str
    uri: str
    to: str
    caller: str
    via: str
    call_id: str
    branch: str
    cseq: int = 1
    to_tag: str = ""
    from_tag: str = "from1"
    headers: tuple[str, ...] = ()
    body: str = ""

    def text(self) -> str:
        tag = f";tag={self.to_tag}" if self.to_tag else ""
        cseq_method = self.method
        lines = [
            f"{self.method} {self.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self.via};rport;branch={self.branch}",
            "Max-Forwards: 70",
            f"From: <{self.caller}>;tag={self.from_tag}",
            f"To: <{self.to}>{tag}",
            f"Call-ID: {self.call_id}",
            f"CSeq: {self.cseq} {cseq_method}",
            f"Contact: <sip:test@{self.via}>",
            *self.headers,
        ]
        lines += ["Content-Type: application/sdp"] if self.body else []
        lines += [f"Content-Length: {len(self.body.encode())}"]
        return "\r\n".join(lines) + "\r\n\r\n" + self.body


@dataclass
class SipLine(asyncio.DatagramProtocol):
    """A bound UDP port. `answer(message)` may give the response to a request that arrives."""

    port: int
    host: str = HOST
    messages: list[Message] = field(default_factory=list)
    answer: Callable[[Message], str | None] | None = None
    _transport: asyncio.DatagramTransport | None = None
    _came: asyncio.Event = field(default_factory=asyncio.Event)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = Message(data.decode(errors="replace"), addr)
        self.messages.append(message)
        self._came.set()
        if self.answer and not message.status and (said := self.answer(message)):
            self.send(said, addr)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there."""

    def send(self, message: str | bytes, to: Address) -> None:
        assert self._transport
        self._transport.sendto(message.encode() if isinstance(message, str) else message, to)

    def request(
        self, method: str, port: int, user: str = "+15550001", **changes: object
    ) -> Request:
        """A new request outside a dialog to the server at `port`."""
        number = next(_numbers)
        uri = f"sip:{user}@{HOST}:{port}"
        request = Request(
            method, uri, uri, f"sip:+15559999@{HOST}", f"{self.host}:{self.port}",
            f"call-{number}-{self.port}@test", f"z9hG4bK-{number}-{self.port}",
        )  # fmt: skip
        for name, value in changes.items():
            setattr(request, name, value)
        return request

    async def ask(
        self, request: Request, port: int, within_s: float = 30.0, host: str = HOST
    ) -> Message:
        """Send it once; the final response to it."""
        self.send(request.text(), (host, port))
        return await self.final(request.call_id, request.method, request.cseq, within_s)

    async def final(
        self, call_id: str, method: str, cseq: int = 1, within_s: float = 30.0
    ) -> Message:
        """The first final response to that request of the call."""

        def is_it(message: Message) -> bool:
            return (
                message.status >= 200
                and message.header("Call-ID") == call_id
                and message.header("CSeq").split() == [str(cseq), method]
            )

        return await self.arrives(is_it, within_s)

    async def arrives(self, is_it: Callable[[Message], bool], within_s: float = 30.0) -> Message:
        """The first message of that kind, also one that is there already."""
        try:
            async with asyncio.timeout(within_s):
                while not (those := [message for message in self.messages if is_it(message)]):
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            lines = [message.text.splitlines()[0] for message in self.messages[-20:]]
            raise AssertionError(f"not arrived; there are {lines}") from None
        return those[0]

    def ack(self, request: Request, response: Message) -> str:
        """Of a final response: its own transaction for 2xx, the request's for others."""
        success = response.status < 300
        to_tag = response.header("To").partition(";tag=")[2]
        number = next(_numbers)
        branch = f"z9hG4bK-ack-{number}" if success else request.branch
        one = Request(
            "ACK", request.uri, request.to, request.caller, request.via, request.call_id,
            branch, request.cseq, to_tag, request.from_tag,
        )  # fmt: skip
        return one.text()

    def close(self) -> None:
        if self._transport:
            self._transport.close()


def respond(
    request: Message, status: int, reason: str, *headers: str, body: str = "", tag: str = "t1"
) -> str:
    """The response to a request that arrived, its Vias and Record-Routes as they came."""
    lines = [f"SIP/2.0 {status} {reason}"]
    lines += [f"Via: {via}" for via in request.headers("Via")]
    lines += [f"Record-Route: {route}" for route in request.headers("Record-Route")]
    to = request.header("To")
    lines += [
        f"From: {request.header('From')}",
        f"To: {to}" if "tag=" in to else f"To: {to};tag={tag}",
    ]
    lines += [f"Call-ID: {request.header('Call-ID')}", f"CSeq: {request.header('CSeq')}", *headers]
    lines += ["Content-Type: application/sdp"] if body else []
    lines += [f"Content-Length: {len(body.encode())}"]
    return "\r\n".join(lines) + "\r\n\r\n" + body


@asynccontextmanager
async def sip_line(host: str = HOST, port: int = 0) -> AsyncIterator[SipLine]:
    """On a free port, or on one of an address that is the test's alone."""
    line = SipLine(port or free_ports(host=host), host)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: line, local_addr=(host, line.port))
    try:
        yield line
    finally:
        line.close()
        await asyncio.sleep(0)
