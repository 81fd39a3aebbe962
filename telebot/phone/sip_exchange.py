"""A telephone on SIP: `telebot call sip:NUMBER@HOST[:PORT]` rings a server up without a carrier.

UDP and G.711, in mu-law or A-law. A challenge is answered with TELEBOT_SIP_USER and
TELEBOT_SIP_PASSWORD. The signalling is `sip_dialog.py`'s, the media `sip_stream.py`'s.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from typing import cast

import aiohttp

from telebot.phone.destination import CallRefused, CannotCall, Destination
from telebot.phone.exchange import Connection
from telebot.phone.microphone import Microphone
from telebot.phone.sip_dialog import Address, Caller, Refusal, SipDialog
from telebot.phone.sip_stream import TYPES, SipStream
from telebot.phone.stream import Message

ANSWER_TIMEOUT_S = 30.0
WAITING_PACKETS = 500  # ten seconds; what comes while nobody reads is then dropped
URI = re.compile(r"sip:(?:([^@\s;]+)@)?(\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::(\d{1,5}))?(?:;.*)?")
OFFER = (
    "v=0\r\no=phone 1 1 IN {family} {host}\r\ns=-\r\nc=IN {family} {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {kind} 101\r\na=rtpmap:{kind} {codec}/8000\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
    "a=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
)


def address_of(server: str) -> tuple[str, str, int]:
    """(user, host, port) of a SIP URI. Raises `CannotCall`."""
    found = URI.fullmatch(server)
    port = int(found[3] or 5060) if found else 0
    if found is None or not 0 < port < 65_536:
        raise CannotCall(f"{server}: write a SIP address such as sip:100@127.0.0.1:5060")
    return found[1] or "", found[2].strip("[]"), port


class Rtp(asyncio.DatagramProtocol):
    """The phone's media port."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[bytes | None] = asyncio.Queue(WAITING_PACKETS)
        self.peer: Address | None = None
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = self._transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        if not self.packets.full():
            self.packets.put_nowait(data)

    def error_received(self, exc: Exception) -> None:
        """The server's port is closed; its BYE says why."""

    def send(self, packet: bytes) -> None:
        """To where the answer says."""
        if self._transport is not None and self.peer is not None:
            self._transport.sendto(packet, self.peer)

    def over(self) -> None:
        """No packet comes any more."""
        if self.packets.full():
            self.packets.get_nowait()
        self.packets.put_nowait(None)

    def close(self) -> None:
        """Give the port back."""
        if self._transport is not None:
            self._transport.close()


class SipWire:
    """A `Wire` whose messages are RTP packets."""

    close_code: int | None = None

    def __init__(self, dialog: SipDialog, rtp: Rtp) -> None:
        self._dialog, self._rtp = dialog, rtp

    async def messages(self) -> AsyncIterator[Message]:
        while (packet := await self._rtp.packets.get()) is not None:
            yield packet

    async def send(self, message: Message) -> None:
        if isinstance(message, bytes):
            self._rtp.send(message)

    async def close(self) -> None:
        await self._dialog.bye()
        self._dialog.close()
        self._rtp.close()


class SipExchange:
    """The `Exchange` of a SIP telephone."""

    def __init__(self, to: Destination) -> None:
        self._to = to
        self._codec = to.codec

    @staticmethod
    def secret(server: str, carrier: str) -> str:
        """Nothing is signed; a challenge is answered from the environment."""
        address_of(server)
        return ""

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """INVITE. Raises `CannotCall`, `CallRefused`."""
        to = self._to
        if to.agent:
            raise CannotCall("--agent: over SIP the number that is called picks the agent")
        user, host, port = address_of(to.server)
        shown = f"[{host}]" if ":" in host else host
        caller = Caller(
            uri=f"sip:{user or to.phone_to}@{shown}:{port}",
            display=to.phone_from,
            call_id=to.call_sid,
            user=os.environ.get("TELEBOT_SIP_USER", ""),
            password=os.environ.get("TELEBOT_SIP_PASSWORD", ""),
        )
        rtp = Rtp()
        dialog = SipDialog(caller, (host, port), rtp.over)
        try:
            await self._open(dialog, rtp)
            answer = await dialog.invite(ANSWER_TIMEOUT_S)
        except Refusal as refused:
            _close(dialog, rtp)
            if refused.status:
                raise CallRefused(str(refused), ()) from None
            raise CannotCall(f"{to.server}: no answer; is SIP on there?") from None
        except OSError as error:
            _close(dialog, rtp)
            raise CannotCall(f"{to.server}: {error}") from None
        rtp.peer = _media(answer, TYPES[self._codec])
        return Connection(SipStream(microphone, self._codec), SipWire(dialog, rtp))

    async def after(self, session: aiohttp.ClientSession) -> str:
        """Nothing comes after a BYE."""
        return ""

    async def _open(self, dialog: SipDialog, rtp: Rtp) -> None:
        host = await dialog.open()
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: rtp, local_addr=(host, 0))
        family = "IP6" if ":" in host else "IP4"
        dialog.sdp = OFFER.format(
            family=family, host=host, port=rtp.port, kind=TYPES[self._codec], codec=self._codec
        )


def _close(dialog: SipDialog, rtp: Rtp) -> None:
    dialog.close()
    rtp.close()


def _media(sdp: str, kind: int) -> Address:
    """Where the answer wants the audio. Raises `CannotCall`."""
    host = re.search(r"^c=IN IP[46] ([^\s/]+)", sdp, re.MULTILINE)
    port = re.search(rf"^m=audio (\d{{1,5}}) RTP/AVP (?:\d+ )*{kind}(?: |\r|$)", sdp, re.MULTILINE)
    if host is None or port is None:
        raise CannotCall("the answer has no audio of the codec that was offered")
    return host[1], int(port[1])
