"""Requests within a call beside INVITE and BYE: UPDATE, PRACK, INFO, OPTIONS; who sends none of
these is refused, not left without an answer as sippy does.

In sippy's thread; the base of `dialog.py:Dialog`. RFC 3311 (UPDATE), RFC 3262 (PRACK), RFC 6086
(INFO).
"""

from __future__ import annotations

from collections.abc import Callable
from secrets import randbelow
from typing import TYPE_CHECKING, Any

from sippy import CCEvents
from sippy.Time.Timeout import Timeout
from sippy.UA import UA
from sippy.UacStateUpdating import UacStateUpdating

from telebot.sip import bodies, events, session_timer, wants, words
from telebot.sip.states import Connected, Ended
from telebot.sip.transport import headers, is_ip, is_private

if TYPE_CHECKING:
    from telebot.sip.leg import Leg
    from telebot.sip.stack import Stack

RETRY_SOON = (("Retry-After", "1"),)  # seconds; RFC 3261 section 14.2, RFC 3311 section 5.2
T1_S = 0.5  # RFC 3261 section 17.1.1.1
LONGEST_S = 32.0  # 64 times T1
PENDING = (None, None, None)  # sippy keeps the transaction, the answer comes later

Extra = tuple[tuple[str, str], ...]


class Within(UA):  # type: ignore[misc]
    """sippy's user agent, with an answer for everything."""

    leg: Leg | None = None
    stack: Stack
    branch: str | None
    peer_allows: frozenset[str] = frozenset()
    asked = session_timer.Asked()  # by the newest INVITE or UPDATE
    reliable = False  # the peer wants each provisional response acknowledged
    _unacknowledged = 0  # RSeq of the one that is on its way
    _then: Callable[[], None] | None = None  # what waits for its PRACK
    _update: Any = None  # an UPDATE whose offer the leg looks at

    def isYours(self, req: Any = None, *rest: Any, **named: Any) -> Any:
        """sippy takes a request before the answer for another call's, unless it is a BYE."""
        if req is None or req.getHFBody("to").getTag() is None:
            return super().isYours(req, *rest, **named)
        branch, self.branch = self.branch, None
        try:
            return super().isYours(req, *rest, **named)
        finally:
            self.branch = branch

    def recvRequest(self, req: Any, sip_t: Any) -> Any:
        """A request of this dialog, the first INVITE too."""
        method, first = req.getMethod(), self.state is None
        if isinstance(self.state, Ended) or self.isDead():
            return super().recvRequest(req, sip_t)
        refusal = None if first else self._refusal(req, method)
        if refusal is not None:
            return self.reply(req, *refusal), None, None
        if method in ("INVITE", "UPDATE"):
            self.asked = wants.timer(req)
            self.peer_allows = frozenset(wants.listed(req, "allow")) or self.peer_allows
        if method in ("INVITE", "BYE"):
            result = super().recvRequest(req, sip_t)
            vars(req).pop("sendResponse", None)  # which sippy makes of the request itself
            if method == "INVITE":
                self.reliable = "100rel" in map(str.lower, wants.listed(req, "require"))
                self._retarget(req)
            return result
        self.rCSeq = req.getHFBody("cseq").getCSeqNum()
        return self._other(req, method)

    def _refusal(self, req: Any, method: str) -> tuple[int, Extra] | None:
        """Why a request of this call is not even looked at."""
        if unknown := wants.unknown_extensions(req):
            return 420, (("Unsupported", unknown),)
        number = req.getHFBody("cseq").getCSeqNum()
        if self.rCSeq is not None and number <= self.rCSeq:
            return 500, ()  # out of order, as RFC 3261 section 12.2.2 has it
        if method == "INVITE" and not self.isConnected():
            return 500, RETRY_SOON
        if method in ("INVITE", "UPDATE"):
            return self.unfit(req)
        return None

    @staticmethod
    def unfit(req: Any) -> tuple[int, Extra] | None:
        """Why an INVITE or UPDATE cannot be taken, whatever it offers."""
        try:
            if wants.timer(req).too_small:
                return 422, (("Min-SE", str(session_timer.LEAST_S)),)
            wants.description(req)
        except session_timer.BadInterval:
            return 400, ()
        except bodies.Unsupported:
            return 415, (("Accept", bodies.SDP),)
        return None

    def _other(self, req: Any, method: str) -> Any:
        match method:
            case "UPDATE":
                return self._updated(req)
            case "PRACK":
                return self._acknowledged(req)
            case "INFO":
                return self.reply(req, *self._informed(req)), None, None
            case "OPTIONS":
                extra = (*words.CAPABILITIES, ("Accept", bodies.SDP))
                return self.reply(req, 200, extra), None, None
            case "REFER" | "NOTIFY" | "SUBSCRIBE":
                events.HANDLERS[method](self.state, req)
                return None
        status = 405 if method in words.KNOWN else 501
        return self.reply(req, status, (words.ALLOW,)), None, None

    def reply(self, req: Any, status: int, extra: Extra = ()) -> Any:
        """A response to `req`."""
        response = req.genResponse(status, words.reason(status), server=self.local_ua)
        response.appendHeaders(headers(extra))
        return response

    def _retarget(self, req: Any) -> None:
        """Where our requests go from now on (RFC 3261 section 12.2.1.1). What lies behind a NAT,
        or is a name, is reached where it sent from."""
        if not req.countHFs("contact"):
            return
        self.rTarget = req.getHFBody("contact").getUrl().getCopy()
        if self.routes:
            return
        address, transport = self.rTarget.getTAddr()
        host, source = str(address[0]), req.getSource()
        if not is_ip(host) or (is_private(host) and host != source[0]):
            address = source
        self.rAddr = (address, transport)

    # UPDATE

    def _updated(self, req: Any) -> Any:
        self._retarget(req)
        offer = wants.description(req)
        if offer is None:
            return self.update_answer(req), None, None
        if isinstance(self.state, UacStateUpdating):
            return self.reply(req, 491), None, None
        if not isinstance(self.state, Connected) or self._update is not None or self.leg is None:
            return self.reply(req, 500, RETRY_SOON), None, None
        self._update = req
        self.stack.tell(self.leg.offered, offer)
        return PENDING

    def update_answer(self, req: Any) -> Any:
        """The 200 to an UPDATE; `Dialog` says more in it."""
        return self.reply(req, 200, words.CAPABILITIES)

    def settle_update(self, response: Any) -> bool:
        """Answer the UPDATE that waits for the leg; False where none does."""
        req, self._update = self._update, None
        if req is None:
            return False
        self.global_config["_sip_tm"].sendResponse(response(req))
        return True

    # PRACK

    def provisional(self, status: int, body: Any = None) -> None:
        """A provisional response, again and again until its PRACK where the peer wants that."""
        event = CCEvents.CCEventRing((status, words.reason(status), body))
        if self.reliable:
            self._unacknowledged = 1 + randbelow(2**31 - 1)
            told = (("Require", "100rel"), ("RSeq", str(self._unacknowledged)))
            event.extra_headers = headers((words.ALLOW, *told))
        self.recvEvent(event)
        if self.reliable:
            Timeout(self._again, T1_S, 1, self._unacknowledged, T1_S)

    def when_acknowledged(self, then: Callable[[], None]) -> None:
        """Do `then` once no provisional response waits for its PRACK: at once, as a rule."""
        if self._unacknowledged:
            self._then = then
        else:
            then()

    def _again(self, rseq: int, waited_s: float) -> None:
        early = not self.isConnected() and not isinstance(self.state, Ended)
        if rseq != self._unacknowledged or not early:
            return
        transactions = self.global_config["_sip_tm"]
        transaction = transactions.tserver.get(self.uasResp.getTId(wBRN=True))
        if transaction is None or transaction.data is None:
            return
        if 2 * waited_s >= LONGEST_S:
            self._unacknowledged, self._then = 0, None
            self.recvEvent(CCEvents.CCEventFail((504, words.reason(504))))
            if self.leg is not None:
                self.stack.tell(self.leg.unreachable)
            return
        transactions.transmitData(transaction.userv, transaction.data, transaction.address)
        Timeout(self._again, 2 * waited_s, 1, rseq, 2 * waited_s)

    def _acknowledged(self, req: Any) -> Any:
        rack = (wants.first(req, "rack") or "").split()
        if not self._unacknowledged or rack[:1] != [str(self._unacknowledged)]:
            return self.reply(req, 481), None, None
        self._unacknowledged = 0
        self.global_config["_sip_tm"].sendResponse(self.reply(req, 200))
        then, self._then = self._then, None
        if then is not None:
            then()
        return None

    # INFO

    def _informed(self, req: Any) -> tuple[int, Extra]:
        if wants.first(req, "info-package") is not None:
            return 469, (("Recv-Info", ""),)
        kind, body = wants.content(req)
        if not body:
            return 200, ()
        if bodies.kind(kind) not in bodies.KEYS:
            return 415, (("Accept", ", ".join(bodies.KEYS)),)
        digit = bodies.key(kind, body)
        if digit is None:
            return 400, ()
        if digit and self.leg is not None:
            self.stack.tell(self.leg.keyed, digit)
        return 200, ()
