"""One dialog in sippy's thread: sippy's user agent, with what it lacks.

Belongs to one `leg.py:Leg`, which lives on our loop: what happens here is told there, what is to
be done comes from there through `Stack.call`. Its states are sippy's; where one is replaced, its
docstring says what sippy does instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from sippy import CCEvents
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipContentType import SipContentType
from sippy.SipReason import SipReason
from sippy.SipURL import SipURL
from sippy.UasStateUpdating import UasStateUpdating
from sippy.UaStateConnected import UaStateConnected
from sippy.UaStateDisconnected import UaStateDisconnected

from telebot.sip import bodies, events, words
from telebot.sip.asking import Asking
from telebot.sip.causes import Cause
from telebot.sip.messages import Identity
from telebot.sip.transport import header, headers

if TYPE_CHECKING:
    from telebot.sip.leg import Leg
    from telebot.sip.stack import Listening, Stack


def sdp_body(sdp: bytes) -> Any:
    """A message body of SDP, as it is (sippy would parse and rewrite it)."""
    body = MsgBody(sdp.decode("latin-1"), SipContentType("application/sdp"))
    body.needs_update = False
    body.parsed = True
    return body


def body_of(message_body: Any) -> bytes | None:
    """The session description in a body that sippy read; None where there is no body. Raises
    `Unsupported`."""
    if message_body is None:
        return None
    content = str(message_body).encode("latin-1", "replace")
    return bodies.session_description(str(message_body.mtype), content)


class Connected(UaStateConnected):  # type: ignore[misc]
    """A call that is up. sippy answers a re-INVITE by itself where it has no body (as if it were
    a hold) or the body is known; here each is told to the leg, whose media decides."""

    def _recvRequestInvite(self, req: Any) -> Any:
        ua = self.ua
        ua.uasResp = req.genResponse(100, "Trying", server=ua.local_ua)
        ua.global_config["_sip_tm"].sendResponse(ua.uasResp)
        body = req.getBody()
        ua.rSDP = None if body is None else body.getCopy()
        ua.equeue.append(CCEvents.CCEventUpdate(body, rtime=req.rtime, origin=ua.origin))
        return (ua.UasStateUpdating,)

    recv_request_handlers: ClassVar[dict[str, Any]] = {
        **UaStateConnected.recv_request_handlers,
        "INVITE": _recvRequestInvite,
        **events.HANDLERS,
    }


class Updating(UasStateUpdating):  # type: ignore[misc]
    """A re-INVITE that is being answered. sippy cannot wait for the ACK here, which brings the
    answer to our offer where the re-INVITE had none."""

    def _pre_connect(self, event: Any, extra: Any) -> Any:
        code, reason, body = event.getData()
        self.ua.lSDP = body
        self.ua.sendUasResponse(
            code, reason, body, (self.ua.lContact,), ack_wait=True, extra_headers=extra
        )
        return (self.ua.UaStateConnected,)

    recv_request_handlers: ClassVar[dict[str, Any]] = {
        **UasStateUpdating.recv_request_handlers,
        **events.HANDLERS,
    }
    recv_event_handlers: ClassVar[dict[Any, Any]] = {
        **UasStateUpdating.recv_event_handlers,
        CCEvents.CCEventPreConnect: _pre_connect,
    }


class Ended(UaStateDisconnected):  # type: ignore[misc]
    """A call that is over. sippy answers what comes then with 500; RFC 3261 section 12.2.2 knows
    481 for a dialog that is none any more."""

    def recvRequest(self, req: Any) -> Any:
        """A request to a call that is over."""
        if req.getMethod() == "BYE":
            req.sendResponse(200, "OK")
        else:
            req.sendResponse(481, words.reason(481))


class Dialog(Asking):
    """sippy's user agent for one leg; every method here belongs to sippy's thread."""

    UaStateConnected = Connected
    UasStateUpdating = Updating
    UaStateDisconnected = Ended

    def __init__(self, config: dict[str, Any], listening: Listening, stack: Stack) -> None:
        super().__init__(config, event_cb=self._happened)
        self.stack = stack
        self.leg: Leg | None = None
        self.local_ua = listening.user_agent
        url = SipURL(host=listening.advertised, port=config["_port"])
        self.lContact = SipContact(address=SipAddress(url=url))
        self.acknowledged = False
        self._farewell: Cause | None = None  # a BYE that waits for the ACK

    # what the leg wants

    def ring(self) -> None:
        """180."""
        self.recvEvent(CCEvents.CCEventRing((180, words.reason(180), None)))

    def progress(self, sdp: bytes) -> None:
        """183 with early media."""
        self.recvEvent(CCEvents.CCEventRing((183, words.reason(183), sdp_body(sdp))))

    def answer(self, sdp: bytes) -> None:
        """200 to the INVITE or the re-INVITE; the ACK is told."""
        event = CCEvents.CCEventPreConnect((200, "OK", sdp_body(sdp)))
        event.extra_headers = headers(words.CAPABILITIES)
        self.recvEvent(event)

    def refuse(self, status: int, extra: tuple[tuple[str, str], ...] = ()) -> None:
        """A final answer that is no 200, to the INVITE or the re-INVITE."""
        event = CCEvents.CCEventFail((status, words.reason(status)))
        event.extra_headers = headers(extra)
        self.recvEvent(event)

    def hang_up(self, cause: Cause) -> None:
        """End the call as its state wants it: BYE, CANCEL or a refusal. A BYE waits for the ACK
        (RFC 3261 section 15)."""
        if self.isConnected() and not self.acknowledged:
            self._farewell = cause
            return
        if self.state is not None and not self.isConnected() and self.origin == "caller":
            self.refuse(cause.status, cause.retry_after)
            return
        event = CCEvents.CCEventDisconnect()
        event.reason_rfc3326 = SipReason(
            protocol="Q.850", cause=cause.q850, reason=cause.text or None
        )
        self.recvEvent(event)

    def identify(self, told: Callable[[Identity], object]) -> None:
        """What others call this dialog by."""
        known = self.rUri is not None and self.lUri is not None
        tags = (self.lUri.getTag(), self.rUri.getTag()) if known else ("", "")
        told(Identity(str(self.cId), tags[0] or "", tags[1] or "", str(self.rTarget or "")))

    # what sippy says

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        """A request of this dialog, the first INVITE too."""
        result = super().recvRequest(req, sip_t)
        if req.getMethod() == "INVITE" and sip_t.r487 is not None:
            to = sip_t.r487.getHFBody("to")
            if to.getTag() is None:
                to.setTag(self.lTag)  # sippy makes up another one for the 487
        return result

    def recvACK(self, req: Any) -> None:
        """The 200 has arrived."""
        self.acknowledged = True
        super().recvACK(req)
        if self._farewell is not None and self.isConnected():
            self.hang_up(self._farewell)

    def disconnect(self, rtime: Any = None, origin: Any = None) -> None:
        """sippy's timers; here: the 200 was never acknowledged."""
        self.acknowledged = True
        super().disconnect(rtime, origin)

    def _happened(self, event: Any, _: Any) -> None:
        """An event of sippy's, to the leg."""
        leg = self.leg
        if leg is None:
            return
        data = event.getData()
        match event:
            case CCEvents.CCEventConnect():
                self.stack.tell(leg.acknowledged, self._described(data[2]))
            case CCEvents.CCEventUpdate():
                self._offered(leg, data)
            case CCEvents.CCEventDisconnect():
                self.stack.tell(leg.over, cause_of(event))
            case CCEvents.CCEventFail():
                self.stack.tell(leg.over, Cause(status=data[0], text=str(data[1])))

    def _offered(self, leg: Leg, body: Any) -> None:
        """A re-INVITE. One whose body describes no session changes nothing (RFC 3261 14.2)."""
        try:
            self.stack.tell(leg.offered, body_of(body))
        except bodies.Unsupported:  # once sippy is done with the event
            self.stack.call(self.refuse, 415, (("Accept", bodies.SDP),))

    def _described(self, body: Any) -> bytes | None:
        """The answer in an ACK; None also for what is none."""
        try:
            return body_of(body)
        except bodies.Unsupported:
            return None


def cause_of(event: Any) -> Cause:
    """What a BYE, a CANCEL or a refusal says about itself (RFC 3326)."""
    reason = event.reason_rfc3326
    if reason is None:
        return Cause()
    try:
        if not reason.parsed:
            reason.parse()
    except (ValueError, AssertionError, IndexError):
        return Cause()
    if reason.protocol.upper() == "Q.850":
        return Cause(q850=reason.cause, text=reason.reason or "")
    return Cause(status=reason.cause, text=reason.reason or "")


__all__ = ["Dialog", "body_of", "header", "sdp_body"]
