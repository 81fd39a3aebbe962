"""A call of ours in sippy's thread: the INVITE that goes out, until somebody answers it.

From the answer on it is a `dialog.py:Dialog` like any other. What sippy lacks: challenges are
answered with what `proof.py` writes, also where the server says that a nonce is stale; nothing is
answered any more once the call was given up; a second answer of a forked INVITE is hung up.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from sippy import CCEvents
from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL
from sippy.Time.Timeout import Timeout
from sippy.UacStateTrying import UacStateTrying

from telebot.sip import bodies
from telebot.sip.asking import TRIES, credentials
from telebot.sip.causes import Cause
from telebot.sip.dialog import Dialog, body_of, cause_of, sdp_body
from telebot.sip.leg import OutgoingLeg
from telebot.sip.messages import Address, Order
from telebot.sip.transport import headers, is_ip

FORKS_S = 32.0  # 64 times T1: another phone may still answer (RFC 3261 section 13.2.2.4)


class Try(CCEvents.CCEventTry):  # type: ignore[misc]
    """The event that begins it."""

    order: Order

    def onUacSetupComplete(self, uac: Any) -> None:
        """sippy writes URIs of addresses; these are the order's."""
        order = self.order
        uac.rTarget = SipURL(order.to)
        known_as = uac.rTarget.getCopy()
        known_as.transport = None
        uac.rUri = SipTo(address=SipAddress(url=known_as))
        uac.lUri = SipFrom(address=SipAddress(url=SipURL(order.sender)))
        uac.lUri.setTag(uac.lTag)
        uac.lContact.getUrl().username = order.user or None


class Outgoing(Dialog):
    """A dialog that begins with us."""

    leg: OutgoingLeg | None

    def __init__(self, *inherited: Any) -> None:
        super().__init__(*inherited)
        self._tries = 0
        self._between = False  # refused with a challenge, and not sent again yet
        self._proofs: dict[str, Any] = {}

    def invite(self, order: Order, address: Address) -> None:
        """Send the INVITE to `address`."""
        self.account, self.peer = order.account, address
        self.setNextHop(address, "udp")
        event = Try((SipCallId(order.call_id), order.user, "", sdp_body(order.sdp), None, None))
        event.order = order
        event.extra_headers = headers((*self.offered_timer(), *order.headers))
        self.recvEvent(event)

    def hang_up(self, cause: Cause) -> None:
        """As `Dialog`; an INVITE that nobody has heard is not repeated any more, one that waits to
        go out with credentials does not go."""
        if self._between:
            self._between = False
            self.changeState((self.UaStateDead,))
            return
        if isinstance(self.state, UacStateTrying) and self.tr.teA is not None:
            self.tr.teA.cancel()
            self.tr.teA = None
        super().hang_up(cause)

    # what sippy says

    def recvResponse(self, resp: Any, tr: Any) -> None:
        """A response to the INVITE or a re-INVITE of ours."""
        if self.state is None or self.isDead() or self._proven(resp, tr):
            return
        code = resp.scode
        if 200 <= code < 300 and isinstance(self.state, UacStateTrying):
            self.acknowledged = True
            self._watch_forks()
        super().recvResponse(resp, tr)

    def _proven(self, resp: Any, tr: Any) -> bool:
        """True where the INVITE is on its way again, with credentials."""
        number, method = resp.getHFBody("cseq").getCSeq()
        req = self.reqs.get(number) if self.reqs else None
        wanted = isinstance(self.state, UacStateTrying)
        if self.account is None or req is None or method != "INVITE" or not wanted:
            return False
        self._tries += resp.scode in (401, 407)
        if self._tries >= TRIES:
            return False
        found = credentials(self.global_config, req, resp, self.account)
        if found is None:
            return False
        self._proofs[found.name] = found
        self._between = True
        self.stack.call(self._again, number, tr.req_extra_headers)  # behind the ACK of the refusal
        if self.leg is not None:
            self.stack.tell(self.leg.ringing, 100, None)  # there is somebody
        return True

    def _again(self, number: int, headers_before: Any) -> None:
        """The INVITE once more, with credentials; not where the call was given up meanwhile."""
        if self._between:
            self._between = False
            del self.reqs[number]
            extra = (*(headers_before or ()), *self._proofs.values())
            again = self.genRequest("INVITE", self.lSDP, extra_headers=extra)
            self.newUacTransaction(again, req_extra_headers=headers_before)

    def _watch_forks(self) -> None:
        answered = self.global_config["_sip_tm"].answered
        call_id = str(self.cId)
        if call_id not in answered:
            Timeout(partial(answered.pop, call_id, None), FORKS_S)
        answered[call_id] = self.forked

    def forked(self, resp: Any, checksum: bytes) -> bool:
        """Another 2xx to our INVITE, of the phone that was second: acknowledge it and hang up.
        False where it is the one that we know."""
        if self.rUri is None or resp.getHFBody("to").getTag() == self.rUri.getTag():
            return False
        transactions = self.global_config["_sip_tm"]
        number = resp.getHFBody("cseq").getCSeqNum()
        server = next(iter(transactions.l4r.cache_l2s.values()))
        ack = self._to_fork(resp, "ACK", number)
        transactions.transmitMsg(server, ack, ack.getTarget()[0], checksum)
        transactions.newTransaction(self._to_fork(resp, "BYE", number + 1))
        return True

    def _to_fork(self, resp: Any, method: str, cseq: int) -> Any:
        uri = self.rTarget
        if resp.countHFs("contact"):
            uri = resp.getHFBody("contact").getUrl()
        routes = [one.getCopy() for one in resp.getHFBodys("record-route")]
        routes.reverse()
        address, _ = (routes[0] if routes else uri).getTAddr()
        if not is_ip(str(address[0])):
            address = self.peer or resp.getSource()
        return SipRequest(
            method=method,
            ruri=uri.getCopy(),
            to=resp.getHFBody("to").getCopy(),
            fr0m=self.lUri.getCopy(),
            cseq=cseq,
            callid=self.cId.getCopy(),
            routes=routes,
            target=(address, "udp"),
            user_agent=self.local_ua,
        )

    def _happened(self, event: Any, ua: Any) -> None:
        leg = self.leg
        data = event.getData()
        match event:
            case CCEvents.CCEventRing() if leg is not None:
                self.stack.tell(leg.ringing, data[0], self._description(data[2]))
            case CCEvents.CCEventConnect() if leg is not None and data[0] != "ACK":
                self.stack.tell(leg.accepted, self._description(data[2]))
            case CCEvents.CCEventFail() | CCEvents.CCEventRedirect() if leg is not None:
                said = cause_of(event)
                cause = Cause(data[0], said.q850, said.text or str(data[1]))
                self.stack.tell(leg.over, cause)
            case _:
                super()._happened(event, ua)

    @staticmethod
    def _description(body: Any) -> bytes | None:
        """The session description of a response; None where it has none that can be read."""
        try:
            return body_of(body)
        except bodies.Unsupported:
            return None
