"""A telephone's signalling over SIP and UDP: one call, from INVITE to BYE (RFC 3261).

A user agent client of its own, so that a fault of the server's stack cannot hide in it. It repeats
what gets no answer, answers what the server asks inside the call, and proves who it is where it is
asked to (RFC 8760). `sip_exchange.py` dials with it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

Address = tuple[str, int]
T1_S = 0.5
LONGEST_S = 4.0
TAG = re.compile(r";\s*tag=([^;\s>]+)", re.IGNORECASE)
COMPACT = {
    "v": "via",
    "f": "from",
    "t": "to",
    "i": "call-id",
    "m": "contact",
    "l": "content-length",
}


@dataclass(frozen=True, slots=True)
class SipMessage:
    """One that came."""

    start: str
    headers: tuple[tuple[str, str], ...]
    body: str

    @classmethod
    def read(cls, data: bytes) -> SipMessage | None:
        """None for what is no SIP message."""
        head, _, body = data.decode("utf-8", "replace").partition("\r\n\r\n")
        start, *lines = re.sub(r"\r\n[ \t]+", " ", head).split("\r\n")
        if "SIP/2.0" not in start:
            return None
        pairs = [line.partition(":") for line in lines]
        found = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        return cls(start, tuple((COMPACT.get(name, name), value) for name, value in found), body)

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        first, _, rest = self.start.partition(" ")
        return int(rest[:3]) if first == "SIP/2.0" and rest[:3].isdigit() else 0

    @property
    def method(self) -> str:
        """Of a request, or of the request that this answers."""
        return self.header("cseq").split()[-1] if self.status else self.start.split()[0]

    def header(self, name: str) -> str:
        """The first of that name; '' where there is none."""
        return next((value for known, value in self.headers if known == name), "")

    def every(self, name: str) -> list[str]:
        """All of that name."""
        return [value for known, value in self.headers if known == name]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls whom. `user` and `password` answer a challenge."""

    uri: str
    display: str
    call_id: str
    user: str = ""
    password: str = ""


class Refusal(Exception):
    """The server's final answer, which is no 2xx; `status` 0: it never came."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"{status} {reason}".strip() if status else "no answer")
        self.status = status


@dataclass
class SipDialog(asyncio.DatagramProtocol):
    """One call to `server`. `sdp` is our offer; `on_bye` is called when the server hangs up."""

    caller: Caller
    server: Address
    on_bye: Callable[[], None]
    sdp: str = ""
    over: bool = False
    _local: Address = ("", 0)
    _transport: asyncio.DatagramTransport | None = None
    _answers: asyncio.Queue[SipMessage] = field(default_factory=asyncio.Queue)
    _tag: str = field(default_factory=lambda: secrets.token_hex(8))
    _to: str = ""
    _target: str = ""
    _routes: tuple[str, ...] = ()
    _cseq: int = 0
    _ack: str = ""  # of our last INVITE that was answered 2xx, for the answer sent again

    async def open(self) -> str:
        """Bind; the address of ours by which the server is reached."""
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, remote_addr=self.server)
        return self._local[0]

    async def invite(self, within_s: float) -> str:
        """Call; the session description of the answer. Raises `Refusal`."""
        answer = await self._invite("", within_s)
        challenge = "www-authenticate" if answer.status == 401 else "proxy-authenticate"
        if answer.status in (401, 407) and self.caller.user:
            proof = _proof(answer.header(challenge), self.caller, "INVITE")
            name = "Authorization" if answer.status == 401 else "Proxy-Authorization"
            answer = await self._invite(f"{name}: {proof}", within_s)
        if not 200 <= answer.status < 300:
            raise Refusal(answer.status, answer.start.split(" ", 2)[-1])
        return answer.body

    async def bye(self) -> None:
        """Hang up, and wait a little for the answer. Nothing where the call is over."""
        if self.over or not self._to:
            return
        self.over = True
        self._cseq += 1
        await self._ask(self._request("BYE", self._cseq), "BYE", self._cseq, 2.0)

    def close(self) -> None:
        """No more signalling."""
        if self._transport is not None:
            self._transport.close()

    # datagrams

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self._local = self._transport.get_extra_info("sockname")[:2]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        message = SipMessage.read(data)
        if message is None or message.header("call-id") != self.caller.call_id:
            return
        if not message.status:
            self._asked(message)
        elif message.method == "INVITE" and 200 <= message.status < 300 and self._ack:
            self._send(self._ack)  # our ACK was lost
        else:
            self._answers.put_nowait(message)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there; the request then goes unanswered."""

    # the call

    async def _invite(self, proof: str, within_s: float) -> SipMessage:
        self._cseq += 1
        extra = (proof,) if proof else ()
        branch = _branch()
        request = self._request("INVITE", self._cseq, self.sdp, branch, extra)
        answer = await self._ask(request, "INVITE", self._cseq, within_s)
        if answer is None:
            raise Refusal(0, "")
        if answer.status < 300:
            self._to = answer.header("to")
            self._target = _uri(answer.header("contact")) or self._target
            self._routes = tuple(reversed(answer.every("record-route")))
            self._ack = self._request("ACK", self._cseq)
            self._send(self._ack)
        else:
            self._send(self._request("ACK", self._cseq, "", branch, to=answer.header("to")))
        return answer

    async def _ask(
        self, request: str, method: str, cseq: int, within_s: float
    ) -> SipMessage | None:
        """The final answer; the request is repeated until something comes (section 17.1)."""
        wait_s, repeat = T1_S, True
        self._send(request)
        try:
            async with asyncio.timeout(within_s):
                while True:
                    try:
                        async with asyncio.timeout(wait_s if repeat else None):
                            answer = await self._answers.get()
                    except TimeoutError:
                        self._send(request)
                        wait_s = min(2 * wait_s, LONGEST_S)
                        continue
                    if answer.header("cseq").split() != [str(cseq), method]:
                        continue
                    if answer.status >= 200:
                        return answer
                    repeat = method != "INVITE"
        except TimeoutError:
            return None

    def _asked(self, request: SipMessage) -> None:
        """A request of the server inside the call."""
        match request.method:
            case "ACK":
                return
            case "BYE":
                self._send(_response(request, 200, "OK", self._contact()))
                if not self.over:
                    self.over = True
                    self.on_bye()
            case "INVITE" | "UPDATE" if request.method == "INVITE" or request.body:
                self._send(_response(request, 200, "OK", self._contact(), self.sdp))
            case "OPTIONS" | "INFO" | "UPDATE" | "NOTIFY":
                self._send(_response(request, 200, "OK", self._contact()))
            case _:
                self._send(_response(request, 501, "Not Implemented", self._contact()))

    def _request(
        self,
        method: str,
        cseq: int,
        body: str = "",
        branch: str = "",
        extra: tuple[str, ...] = (),
        *,
        to: str = "",
    ) -> str:
        host, port = self._local
        caller = self.caller
        lines = [
            f"{method} {self._target or caller.uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};rport;branch={branch or _branch()}",
            "Max-Forwards: 70",
            f"From: <sip:{caller.display}@{host}:{port}>;tag={self._tag}",
            f"To: {to or self._to or f'<{caller.uri}>'}",
            f"Call-ID: {caller.call_id}",
            f"CSeq: {cseq} {method}",
            self._contact(),
            *(f"Route: {route}" for route in self._routes),
            *extra,
        ]
        return _whole(lines, body)

    def _contact(self) -> str:
        return f"Contact: <sip:{self.caller.display}@{self._local[0]}:{self._local[1]}>"

    def _send(self, text: str) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(text.encode())


def _whole(lines: list[str], body: str) -> str:
    if body:
        lines.append("Content-Type: application/sdp")
    return "\r\n".join([*lines, f"Content-Length: {len(body.encode())}", "", body])


def _response(request: SipMessage, status: int, reason: str, contact: str, body: str = "") -> str:
    lines = [f"SIP/2.0 {status} {reason}"]
    for name in ("via", "from", "to", "call-id", "cseq"):
        lines += [f"{name}: {value}" for value in request.every(name)]
    return _whole([*lines, contact], body)


def _branch() -> str:
    return "z9hG4bK" + secrets.token_hex(8)


def _uri(contact: str) -> str:
    found = re.search(r"<([^>]+)>", contact)
    return found[1] if found else contact.partition(";")[0].strip()


def _proof(challenge: str, caller: Caller, method: str) -> str:
    """The answer to a digest challenge with `qop=auth`, or without (RFC 7616, RFC 2617)."""
    said = {
        name.lower(): quoted or bare
        for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', challenge)
    }
    digest = hashlib.sha256 if said.get("algorithm", "").upper() == "SHA-256" else hashlib.md5

    def hashed(*parts: str) -> str:
        return digest(":".join(parts).encode()).hexdigest()

    secret = hashed(caller.user, said.get("realm", ""), caller.password)
    what, nonce, made = hashed(method, caller.uri), said.get("nonce", ""), secrets.token_hex(8)
    fields = {"username": caller.user, "realm": said.get("realm", ""), "nonce": nonce}
    fields |= {"uri": caller.uri}
    plain = {"algorithm": said.get("algorithm", "MD5")}
    if "qop" in said:
        fields |= {
            "cnonce": made,
            "response": hashed(secret, nonce, "00000001", made, "auth", what),
        }
        plain |= {"qop": "auth", "nc": "00000001"}
    else:
        fields["response"] = hashed(secret, nonce, what)
    if "opaque" in said:
        fields["opaque"] = said["opaque"]
    parts = [f'{name}="{value}"' for name, value in fields.items()]
    return "Digest " + ", ".join([*parts, *(f"{name}={value}" for name, value in plain.items())])
