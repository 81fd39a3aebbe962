"""One dialog in sippy's thread: sippy's user agent, with what it lacks.

Belongs to one `leg.py:Leg`, which lives on our loop: what happens here is told there, what is to
be done comes from there through `Stack.call`. Its states are sippy's; where one is replaced, its
docstring says what sippy does instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sippy import CCEvents
from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipContact import SipContact
from sippy.SipContentType import SipContentType
from sippy.SipHeader import SipHeader
from sippy.SipReason import SipReason
from sippy.SipURL import SipURL

from telebot.sip import bodies, session_timer, wants, words
from telebot.sip.asking import Asking
from telebot.sip.causes import Cause
from telebot.sip.messages import Identity
from telebot.sip.refreshing import Refreshing
from telebot.sip.session_timer import Terms
from telebot.sip.states import Connected, Ended, Trying, Updating
from telebot.sip.transport import headers
from telebot.sip.within import Within

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


class Dialog(Within, Asking):
    """sippy's user agent for one leg; every method here belongs to sippy's thread."""

    event_cb: Any
    UasStateTrying = Trying
    UaStateConnected = Connected
    UasStateUpdating = Updating
    UaStateDisconnected = Ended

    def __init__(self, config: dict[str, Any], listening: Listening, stack: Stack) -> None:
        super().__init__(config, event_cb=self._happened)
        self.stack = stack
        self.local_ua = listening.user_agent
        url = SipURL(host=listening.advertised, port=config["_port"])
        self.lContact = SipContact(address=SipAddress(url=url))
        self.acknowledged = False
        self.timer = Refreshing(self)
        self._said: Any = None  # our newest session description, as a body
        self._farewell: Cause | None = None  # a BYE that waits for the ACK
        self._refreshed: Callable[[Any], None] | None = None  # by a re-INVITE that is on its way

    # what the leg wants

    def ring(self) -> None:
        """180."""
        self.provisional(180)

    def progress(self, sdp: bytes) -> None:
        """183 with early media."""
        self.provisional(183, sdp_body(sdp))

    def answer(self, sdp: bytes) -> None:
        """200 to the INVITE, the re-INVITE or the UPDATE; the ACK is told."""
        self._said = sdp_body(sdp)
        if not self.settle_update(self.update_answer):
            self.when_acknowledged(self._accept)

    def refuse(self, status: int, extra: tuple[tuple[str, str], ...] = ()) -> None:
        """A final answer that is no 200, to the INVITE, the re-INVITE or the UPDATE."""
        if self.settle_update(lambda req: self.reply(req, status, extra)):
            return
        event = CCEvents.CCEventFail((status, words.reason(status)))
        event.extra_headers = headers(extra)
        self.recvEvent(event)

    def hang_up(self, cause: Cause) -> None:
        """End the call as its state wants it: BYE, CANCEL or a refusal. A BYE waits for the ACK
        (RFC 3261 section 15)."""
        self.settle_update(lambda req: self.reply(req, 487))
        if self.isConnected() and not self.acknowledged:
            self._farewell = cause
            return
        self.timer.stop()
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

    def cleanup(self) -> None:
        """Nothing comes to it any more: let go of what it knows."""
        self.timer.close()
        self.leg = self.event_cb = self._refreshed = self._then = None

    def leave(self) -> None:
        """We go down: a BYE that waits for an ACK waits no longer."""
        if self._farewell is not None and not self.acknowledged:
            self.acknowledged = True
            self.hang_up(self._farewell)

    def _accept(self) -> None:
        event = CCEvents.CCEventPreConnect((200, "OK", self._said.getCopy()))
        event.extra_headers = headers((*words.CAPABILITIES, *self._timer_terms()))
        self.recvEvent(event)

    def offered_timer(self) -> tuple[tuple[str, str], ...]:
        """What an INVITE of ours says of a session timer."""
        ours_s = self._ours_s()
        wanted = (("Session-Expires", str(ours_s)), ("Min-SE", str(session_timer.LEAST_S)))
        return (*words.OFFERED, *wanted) if ours_s else words.OFFERED

    def _ours_s(self) -> int:
        return 0 if self.leg is None else self.leg.invite.trunk.settings.session_expires_s

    def _timer_terms(self) -> tuple[tuple[str, str], ...]:
        return self.timer.answering(self.asked, self._ours_s())

    def update_answer(self, req: Any) -> Any:
        """The 200 to an UPDATE."""
        extra = (*words.CAPABILITIES, *self._timer_terms())
        response = self.reply(req, 200, extra)
        response.appendHeader(SipHeader(name="contact", body=self.lContact))
        if req.getBody() is not None:
            response.setBody(self._said.getCopy())
        return response

    # the session timer

    def refresh(self, terms: Terms, told: Callable[[Any], None]) -> bool:
        """Show that we are there: UPDATE where the peer knows it, else a re-INVITE that changes
        nothing. False where that cannot be now."""
        if not isinstance(self.state, Connected) or not self.acknowledged:
            return False
        extra = headers((*words.OFFERED, *terms.as_request()))
        if "UPDATE" in self.peer_allows:
            self.newTransaction(self.genRequest("UPDATE", extra_headers=extra), resp_cb=told)
            return True
        if self._said is None:
            return False
        self._refreshed = told
        self.lSDP = self._said.getCopy()
        self.newUacTransaction(self.genRequest("INVITE", self.lSDP, extra_headers=extra))
        self.changeState((self.UacStateUpdating,))
        return True

    def expired(self) -> None:
        """Nobody is there any more."""
        if self.leg is not None:
            self.stack.tell(self.leg.expired)

    # what sippy says

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        """A request of this dialog, the first INVITE too."""
        if self.state is None:
            self.peer = req.getSource()  # where names in its messages are taken to lead
        if req.getMethod() == "BYE":
            self.timer.stop()
            self.settle_update(lambda update: self.reply(update, 487))
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

    def recvResponse(self, resp: Any, tr: Any) -> None:
        """A response to an INVITE of ours; to one that only refreshes, nobody else is told."""
        refreshed = self._refreshed
        if refreshed is None or resp.scode < 200:
            super().recvResponse(resp, tr)
            if 200 <= resp.scode < 300 and self.isConnected():
                self.peer_allows = frozenset(wants.listed(resp, "allow"))
                self.timer.accepted(resp)
            return
        self._refreshed = None
        self.equeue.clear()
        told, self.event_cb = self.event_cb, None
        super().recvResponse(resp, tr)
        self.equeue.clear()
        self.event_cb = told
        refreshed(resp)

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
                self.timer.stop()
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
