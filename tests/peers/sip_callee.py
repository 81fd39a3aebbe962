"""A phone that is rung up: answers by hand, tone for tone, what a server of ours sends it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from sip_phone import Message, Phone, sdp

PARAMETER = re.compile(r'(\w+)=(?:"([^"]*)"|([^,\s]+))')


@dataclass
class Callee:
    """The called side of one INVITE."""

    phone: Phone
    invite: Message
    tag: str = "callee"
    cseq: int = 0

    def respond(
        self,
        status: int,
        body: str = "",
        *,
        request: Message | None = None,
        tag: str | None = None,
        contact: str | None = None,
        routes: bool = True,
        **extra: Any,
    ) -> None:
        """Answer the INVITE, or another request of the call."""
        asked = request or self.invite
        copied = ["via", "from", "call-id", "cseq"] + (["record-route"] if routes else [])
        lines = [f"SIP/2.0 {status} Whatever"]
        lines += [
            line
            for line in asked.text.split("\r\n\r\n")[0].split("\r\n")[1:]
            if line.partition(":")[0].lower() in copied
        ]
        to = asked.header("To")
        own = self.tag if tag is None else tag
        lines.append(
            f"To: {to}" if "tag=" in to or not own or status == 100 else f"To: {to};tag={own}"
        )
        here = contact or f"sip:me@{self.phone.host}:{self.phone.port}"
        lines.append(f"Contact: <{here}>")
        for name, value in extra.items():
            values = value if isinstance(value, list) else [value]
            lines += [f"{name.replace('_', '-')}: {one}" for one in values]
        if body:
            lines.append("Content-Type: application/sdp")
        lines += [f"Content-Length: {len(body)}", "", body]
        self.phone.transport.sendto("\r\n".join(lines).encode(), asked.source)

    async def answer(self, port: int = 40_000, **options: Any) -> Message:
        """200 with a session description; the ACK."""
        self.respond(200, sdp(port), **options)
        return await self.phone.hear("ACK")

    def request(self, method: str, body: str = "", *, kind: str = "", **extra: str) -> None:
        """A request within the call."""
        self.cseq += 1
        uri = re.search(r"<([^>]+)>", self.invite.header("Contact")).group(1)  # type: ignore[union-attr]
        host, port = self.phone.host, self.phone.port
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {host}:{port};branch=z9hG4bK{self.tag}{method}{self.cseq};rport",
            f"From: {self.invite.header('To')};tag={self.tag}",
            f"To: {self.invite.header('From')}",
            f"Call-ID: {self.invite.header('Call-ID')}",
            f"CSeq: {self.cseq} {method}",
            "Max-Forwards: 70",
            f"Contact: <sip:me@{host}:{port}>",
            *(f"{name.replace('_', '-')}: {value}" for name, value in extra.items()),
            *([f"Content-Type: {kind}"] if kind else []),
            f"Content-Length: {len(body)}",
            "",
            body,
        ]
        self.phone.transport.sendto("\r\n".join(lines).encode(), self.invite.source)


def right(request: Message, header: str, user: str, password: str, qop: bool = True) -> bool:
    """Whether the digest in a request is the one that it ought to be (RFC 7616)."""
    given = {
        name: quoted or plain for name, quoted, plain in PARAMETER.findall(request.header(header))
    }
    name = given.get("algorithm", "MD5").replace("-", "").lower()

    def hashed(*parts: str) -> str:
        return hashlib.new(name, ":".join(parts).encode()).hexdigest()

    method, uri, _ = request.first.split(" ")
    secret = hashed(user, given["realm"], password)
    counted = [given["nc"], given["cnonce"], given["qop"]] if qop else []
    wanted = hashed(secret, given["nonce"], *counted, hashed(method, given["uri"]))
    return given["username"] == user and given["uri"] == uri and given["response"] == wanted
