"""Where sippy meets the network: its UDP server and its transactions, with their gaps closed.

Runs in sippy's thread (`stack.py`), but for `Server.handle_read`, which its receiver calls.
Next: `incoming.py`, or the `dialog.py` that a request belongs to.

What differs from sippy: messages pass as latin-1, so that every byte stays what it is and lengths
count bytes; answers go where requests came from, whatever their Via claims; what cannot be parsed
is answered 400 from its raw lines; nothing is printed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import structlog
from sippy import SipTransactionManager as transactions
from sippy.Core.EventDispatcher import ED2
from sippy.Exceptions.SipParseError import SipParseError
from sippy.Network_server import Remote_address
from sippy.SipGenericHF import SipGenericHF
from sippy.SipHeader import SipHeader
from sippy.SipRequest import SipRequest
from sippy.Udp_server import Udp_server, Udp_server_opts

from telebot.sip import proper, raw, words

MOST_WAITING = 2000  # messages received and not looked at yet; more are dropped, as UDP may
SHORTEST = 32  # bytes; what is shorter is a keep-alive
# what sippy's parser raises on messages that are none
UNREADABLE = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    SipParseError,
)
NEEDED = ("via", "from", "to", "call-id", "cseq")

log = structlog.get_logger(__name__)


class Named(SipGenericHF):  # type: ignore[misc]
    """A header that sippy has no class for, written as its name is."""

    def __init__(self, body: str, name: str) -> None:
        super().__init__(body, name)
        self.parsed = True
        self._name = name

    def getCanName(self, name: str, compact: bool = False) -> str:
        """The name, as RFC 3261 writes it."""
        return self._name

    def getCopy(self) -> Named:
        """Another one."""
        return Named(self.body, self._name)


def header(name: str, value: str) -> Any:
    """A header for a message that sippy sends."""
    return SipHeader(name=name.lower(), body=Named(value, name))


def headers(pairs: Sequence[tuple[str, str]]) -> tuple[Any, ...]:
    """Several of them."""
    return tuple(header(name, value) for name, value in pairs)


class ServerOptions(Udp_server_opts):  # type: ignore[misc]
    """One receiver, so messages stay in order; it hands over as they come."""

    nworkers = 1
    direct_dispatch = True
    flags = 0  # nobody else may bind the port beside us


class Server(Udp_server):  # type: ignore[misc]
    """sippy's UDP server, bounded, and transparent to bytes."""

    waiting = 0
    dropped = 0
    advertised = ""  # our address as peers see it; "": the one that is listened on

    def __init__(self, config: dict[str, Any], options: Any) -> None:
        try:
            super().__init__(config, options)
        except OSError:
            self.skt.close()  # sippy leaves it open
            raise

    def handle_read(
        self, data: bytes, address: tuple[str, int], rtime: Any, delayed: bool = False
    ) -> None:
        """A datagram, in the receiver's thread."""
        if not data:
            return
        if self.waiting >= MOST_WAITING:
            self.dropped += 1
            return
        self.waiting += 1
        ED2.callFromThread(self._handle, data, Remote_address(address, self.transport), rtime)

    def getSIPaddr(self) -> tuple[tuple[str, int], str]:
        """What stands in our Via and Contact."""
        (host, port), transport = super().getSIPaddr()
        return (self.advertised or host, port), transport

    def send_to(self, data: bytes | str, address: Any, delayed: bool = False) -> None:
        """Every character is a byte here."""
        if isinstance(data, str):
            data = data.encode("latin-1", "replace")
        super().send_to(data, address, delayed)

    def _handle(self, data: bytes, address: Any, rtime: Any) -> None:
        self.waiting -= 1
        try:
            self.uopts.data_callback(data.decode("latin-1"), address, self, rtime)
        except Exception:  # the boundary of one message
            log.exception("sip_message_failed", peer=str(address))
            answer = raw.reply(data, 400, "Bad Request")
            if answer is not None:
                self.send_to(answer, address.address)


class OneServer(transactions.local4remote):  # type: ignore[misc]
    """The one server of a stack, for whomever it talks with. sippy tries what it can bind first
    and leaves a socket behind."""

    def __init__(self, config: dict[str, Any], incoming: Any, server: Any, options: Any) -> None:
        self.udp_server_class, self.Udp_server_opts = server, options
        self.global_config, self.handleIncoming = config, incoming
        self.cache_r2l: dict[str, Any] = {}
        self.cache_r2l_old: dict[str, Any] = {}
        self.cache_l2s: dict[Any, Any] = {}
        self.fixed = True
        self.initServer((config["_sip_address"], config["_sip_port"]))


class Unreadable(SipParseError):  # type: ignore[misc]
    """A request that cannot be parsed or goes no further, and the answer to it."""

    def __init__(self, data: str, why: proper.Refusal | None = None) -> None:
        super().__init__("unreadable")
        self._data = data.encode("latin-1")
        self._why = why or proper.Refusal(400)

    def getResponse(self, req: object = None) -> Unreadable | None:
        """sippy sends this as if it were a response."""
        return self if raw.is_request(self._data) and raw.headers(self._data) else None

    def localStr(self, local_addr: object = None, compact: bool = False) -> str:
        """The answer's text. Its Via is the request's own; it goes where the request came from."""
        status, extra = self._why.status, self._why.extra
        answer = raw.reply(self._data, status, words.reason(status), extra)
        return answer.decode("latin-1") if answer else ""


class Request(SipRequest):  # type: ignore[misc]
    """sippy's request, whose every needed header is read before anybody works with it."""

    def __init__(self, buf: str) -> None:
        """Raises `Unreadable`."""
        refused = proper.refusal(buf.encode("latin-1"))
        if refused is not None:
            raise Unreadable(buf, refused)
        try:
            present = {name for name, _ in raw.headers(buf.encode("latin-1"))}
            if not present.issuperset(name.encode() for name in NEEDED):
                raise ValueError("a header is missing")
            super().__init__(buf)
            self.getTIds()
            for name in (*NEEDED, "contact", "record-route", "max-forwards", "content-length"):
                self.getHFBodys(name)
        except UNREADABLE as fault:
            log.debug("sip_unreadable", fault=type(fault).__name__)
            raise Unreadable(buf) from None


class Transactions(transactions.SipTransactionManager):  # type: ignore[misc]
    """sippy's transactions. `req_cb` gets what belongs to no dialog."""

    model_udp_server = (Server, ServerOptions)

    def handleIncoming(self, data_in: str, ra: Any, server: Any, rtime: Any) -> None:
        """A message, as text whose characters are its bytes."""
        if len(data_in) >= SHORTEST:
            super().handleIncoming(data_in, ra, server, rtime)

    def incomingRequest(self, msg: Any, checksum: bytes, tids: Any, server: Any) -> None:
        """A parsed request, before its transaction: its answers go to where it came from."""
        host, port = msg.getSource()
        via = msg.getHFBody("via")
        via.params.pop("received", None)
        if via.hostname != host:
            via.params["received"] = host
        if "rport" in via.params:
            via.params["rport"] = str(port)
        super().incomingRequest(msg, checksum, tids, server)


# where sippy's own code makes them
vars(transactions).update(SipRequest=Request, local4remote=OneServer)
