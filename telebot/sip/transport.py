"""Where sippy meets the network: its UDP server and its transactions, with their gaps closed.

Runs in sippy's thread (`stack.py`), but for `Server.handle_read`, which its receiver calls.
Next: `incoming.py`, or the `dialog.py` that a request belongs to.

What differs from sippy: messages pass as latin-1, so that every byte stays what it is and lengths
count bytes; answers go where requests came from, whatever their Via claims; what cannot be parsed
is answered 400 from its raw lines; nothing is printed.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from hashlib import md5
from typing import Any

import structlog
from sippy import SipTransactionManager as transactions
from sippy.Core.EventDispatcher import ED2
from sippy.Exceptions.SipParseError import SipParseError
from sippy.Network_server import Remote_address
from sippy.SipGenericHF import SipGenericHF
from sippy.SipHeader import SipHeader
from sippy.SipRequest import SipRequest
from sippy.SipResponse import SipResponse
from sippy.Udp_server import Udp_server, Udp_server_opts

from telebot.sip import checks, raw, words
from telebot.sip.security import InviteRate

MOST_WAITING = 2000  # messages received and not looked at yet; more are dropped, as UDP may
RETRY_AFTER = "5"  # seconds, of a flood
RECEIVED_BYTES = 4 << 20  # that may wait in the system: a burst of some thousand messages
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
READ = ("via", "from", "to", "contact", "record-route", "max-forwards")

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


def is_ip(host: str) -> bool:
    """Whether the host of a URI is an IP address."""
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def is_port(number: int) -> bool:
    """Whether a datagram can be sent there."""
    return 0 < number < 1 << 16


def is_private(host: str) -> bool:
    """Whether an IP address is one that is not reached from everywhere."""
    return ipaddress.ip_address(host.strip("[]")).is_private


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
    rate: InviteRate | None = None

    def __init__(self, config: dict[str, Any], options: Any) -> None:
        try:
            super().__init__(config, options)
        except OSError:
            self.skt.close()  # sippy leaves it open
            raise
        self.skt.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVED_BYTES)

    def handle_read(
        self, data: bytes, address: tuple[str, int], rtime: Any, delayed: bool = False
    ) -> None:
        """A datagram, in the receiver's thread."""
        if not data:
            return
        if data.startswith(b"INVITE ") and self._too_many(data, address):
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
        if not is_port(address[1]):  # a peer's Contact; sippy's sender would not survive it
            self.dropped += 1
            return
        super().send_to(data, address, delayed)

    def _too_many(self, invite: bytes, address: tuple[str, int]) -> bool:
        """Answer a flood without looking closer; calls that are up are no part of it."""
        if self.rate is None or raw.in_dialog(invite) or self.rate.allows(address[0], invite):
            return False
        answer = raw.reply(invite, 503, words.reason(503), (("Retry-After", RETRY_AFTER),))
        if answer is not None:
            self.send_to(answer, address)
        return True

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
    """A request that is none, and the answer to it."""

    def __init__(self, data: bytes, fault: checks.Fault) -> None:
        super().__init__("unreadable")
        answer = raw.reply(data, fault.status, words.reason(fault.status), fault.extra)
        self._answer = answer

    def getResponse(self, req: object = None) -> Unreadable | None:
        """sippy sends this as if it were a response, to where the request came from."""
        return self if self._answer is not None else None

    def localStr(self, local_addr: object = None, compact: bool = False) -> str:
        """The answer's text."""
        return (self._answer or b"").decode("latin-1")


class Request(SipRequest):  # type: ignore[misc]
    """sippy's request, whose every needed header is read before anybody works with it."""

    def __init__(self, buf: str) -> None:
        """Raises `Unreadable`."""
        data = buf.encode("latin-1")
        fault = checks.fault(data)
        if fault is not None:
            log.debug("sip_request_refused", status=fault.status)
            raise Unreadable(data, fault)
        try:
            super().__init__(buf)
            self.getTIds()
            for name in READ:
                self.getHFBodys(name)
        except UNREADABLE as unreadable:
            log.debug("sip_unreadable", fault=type(unreadable).__name__)
            raise Unreadable(data, checks.Fault(400)) from None


class Transactions(transactions.SipTransactionManager):  # type: ignore[misc]
    """sippy's transactions. `req_cb` gets what belongs to no dialog."""

    model_udp_server = (Server, ServerOptions)
    screen: Callable[[Any], Any] | None = None  # the answer to an INVITE that may not come in

    def __init__(self, config: dict[str, Any], req_cb: Any) -> None:
        super().__init__(config, req_cb)
        # calls of ours that were answered, by Call-ID: a fork may answer once more
        self.answered: dict[str, Callable[[Any, bytes], bool]] = {}

    def handleIncoming(self, data_in: str, ra: Any, server: Any, rtime: Any) -> None:
        """A message, as text whose characters are its bytes."""
        if len(data_in) < SHORTEST:
            return
        if self.answered and data_in.startswith("SIP/2.0 2") and self._of_a_fork(data_in, ra):
            return
        super().handleIncoming(data_in, ra, server, rtime)

    def newTransaction(self, msg: Any, *rest: Any, **options: Any) -> Any:
        """A request of ours. How its INVITE went out is kept for the ACK of a refusal."""
        made = super().newTransaction(msg, *rest, **options)
        if made.ack is not None:
            made.ack_as = (made.ack.getRURI(), [one.getCopy() for one in msg.getHFs("route")])
        return made

    def transmitReq(self, t: Any, msg: Any, address: Any, checksum: Any = None) -> None:
        """An ACK. sippy sends that of a refusal to where its Contact points; it belongs to the
        INVITE's own hop and bears its route (RFC 3261 section 17.1.1.3). An address is an IP
        address; a name stands for where the INVITE went."""
        if msg.getHFBody("via").getBranch() == t.tid[-1]:
            uri, routes = t.ack_as
            msg.setRURI(uri)
            msg.delHFs("route")
            msg.appendHeaders(routes)
            address = t.address
        elif not is_ip(str(address[0])):
            address = t.address
        super().transmitReq(t, msg, address, checksum)

    def _of_a_fork(self, data_in: str, ra: Any) -> bool:
        """A 2xx that no INVITE waits for any more, dealt with."""
        try:
            resp = SipResponse(data_in)
            if resp.getTId(True, True) in self.tclient or resp.getHFBody("cseq").method != "INVITE":
                return False
            told = self.answered.get(str(resp.getHFBody("call-id")))
            resp.setSource(ra)
            return told is not None and told(resp, md5(data_in.encode()).digest())
        except UNREADABLE:
            return False

    def incomingRequest(self, msg: Any, checksum: bytes, tids: Any, server: Any) -> None:
        """A parsed request, before its transaction: its answers go to where it came from."""
        host, port = msg.getSource()
        via = msg.getHFBody("via")
        via.params.pop("received", None)
        if via.hostname != host:
            via.params["received"] = host
        if "rport" in via.params or not is_port(via.getAddr()[1] or 5060):
            via.params["rport"] = str(port)
        if msg.getMethod() == "INVITE" and self._turned_away(msg, checksum, server):
            return
        super().incomingRequest(msg, checksum, tids, server)

    def _turned_away(self, invite: Any, checksum: bytes, server: Any) -> bool:
        """Answer an INVITE that may not come in, without a transaction (RFC 3261 section 8.2.7):
        nothing is kept of it but the answer to its retransmissions."""
        known = invite.getTId(wBRN=True) in self.tserver
        if self.screen is None or known or invite.getHFBody("to").getTag() is not None:
            return False
        answer = self.screen(invite)
        if answer is None:
            return False
        answer.getHFBody("to").genTag()
        self.transmitMsg(server, answer, answer.getHFBody("via").getTAddr(), checksum)
        return True


# where sippy's own code makes them
vars(transactions).update(SipRequest=Request, local4remote=OneServer)
