"""What stands between the phone and the server's media stream: a carrier's own switch.

`EXCHANGES` is the one list: a carrier's name and the class that plays its part, loaded when it is
dialled. An exchange asks the server for the call as its carrier does and opens the stream; a
`Wire` is that stream's connection. Next: `line.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import aiohttp

from telebot.phone.destination import CannotCall, Destination
from telebot.phone.microphone import Microphone
from telebot.phone.stream import CarrierStream, Message

MAX_MESSAGE_BYTES = 1 << 20
CLOSE_TIMEOUT_S = 3.0

EXCHANGES = {
    "audiosocket": "telebot.phone.audiosocket_exchange:AudioSocketExchange",
    "freeswitch": "telebot.phone.freeswitch_exchange:FreeswitchExchange",
    "audiofork": "telebot.phone.freeswitch_exchange:AudioforkExchange",
    "jambonz": "telebot.phone.jambonz_exchange:JambonzExchange",
    "genesys": "telebot.phone.genesys_exchange:GenesysExchange",
    "asterisk": "telebot.phone.asterisk_exchange:AsteriskExchange",
    "local": "telebot.phone.twilio_exchange:TwilioExchange",
    "sip": "telebot.phone.sip_exchange:SipExchange",
    "twilio": "telebot.phone.twilio_exchange:TwilioExchange",
    "telnyx": "telebot.phone.telnyx_exchange:TelnyxExchange",
    "plivo": "telebot.phone.plivo_exchange:PlivoExchange",
    "vonage": "telebot.phone.vonage_exchange:VonageExchange",
    "exotel": "telebot.phone.exotel_exchange:ExotelExchange",
}


class Wire(Protocol):
    """A connection that carries messages, both ways."""

    @property
    def close_code(self) -> int | None:
        """The WebSocket close code, or what comes closest; None while it is open."""
        ...

    def messages(self) -> AsyncIterator[Message]:
        """What the server says, until the connection is closed."""
        ...

    async def send(self, message: Message) -> None:
        """Raises ConnectionError where nobody is there any more."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Connection:
    """A call that was put through: the stream and the wire it goes over."""

    stream: CarrierStream
    wire: Wire


class Exchange(Protocol):
    """One carrier's switch, for one call."""

    async def dial(self, session: aiohttp.ClientSession, microphone: Microphone) -> Connection:
        """Ask the server for the call. Raises `CannotCall`, `CallRefused`."""
        ...

    async def after(self, session: aiohttp.ClientSession) -> str:
        """The stream is over and the caller still there: what the carrier tells the caller then;
        '' where the call just ends."""
        ...


class ExchangeClass(Protocol):
    """What the list's entries are."""

    def __call__(self, to: Destination) -> Exchange: ...

    def secret(self, server: str, carrier: str) -> str:
        """What calls are signed with, from the environment. Raises `CannotCall`."""
        ...


def exchange_class(carrier: str) -> ExchangeClass:
    """Raises KeyError on a carrier that is not in the list."""
    module, _, attribute = EXCHANGES[carrier].partition(":")
    return cast(ExchangeClass, getattr(import_module(module), attribute))


def secret_for(server: str, carrier: str) -> str:
    """What a call by this carrier is signed with. Raises `CannotCall`."""
    return exchange_class(carrier).secret(server, carrier)


class SocketWire:
    """A `Wire` on a WebSocket."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    @property
    def close_code(self) -> int | None:
        return self._socket.close_code

    async def messages(self) -> AsyncIterator[Message]:
        async for message in self._socket:
            if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                yield message.data

    async def send(self, message: Message) -> None:
        text = isinstance(message, str)
        data = message.encode() if isinstance(message, str) else message
        kind = aiohttp.WSMsgType.TEXT if text else aiohttp.WSMsgType.BINARY
        try:
            await self._socket.send_frame(data, kind)
        except aiohttp.ClientError as error:
            raise ConnectionError(str(error)) from error

    async def close(self) -> None:
        await self._socket.close()


async def open_socket(
    session: aiohttp.ClientSession,
    url: str,
    *,
    headers: dict[str, str] | None = None,
    protocols: tuple[str, ...] = (),
) -> SocketWire:
    """Raises `CannotCall` where there is no WebSocket to be had."""
    try:
        socket = await session.ws_connect(
            url,
            headers=headers,
            protocols=protocols,
            max_msg_size=MAX_MESSAGE_BYTES,
            timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT_S),
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        raise CannotCall(f"{url}: {error}") from None
    return SocketWire(socket)
