"""The states of a call that sippy has and that RFC 3261 wants otherwise.

In sippy's thread; `dialog.py:Dialog` takes these in the place of sippy's own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sippy import CCEvents
from sippy.UasStateRinging import UasStateRinging
from sippy.UasStateTrying import UasStateTrying
from sippy.UasStateUpdating import UasStateUpdating
from sippy.UaStateConnected import UaStateConnected
from sippy.UaStateDisconnected import UaStateDisconnected

from telebot.sip import words


class Trying(UasStateTrying):  # type: ignore[misc]
    """An INVITE that is looked at. sippy leaves a BYE of then without an answer."""

    recv_request_handlers: ClassVar[dict[str, Any]] = {"BYE": UasStateRinging._recvRequestBye}


class Connected(UaStateConnected):  # type: ignore[misc]
    """A call that is up. sippy answers a re-INVITE by itself where it has no body (as if it were
    a hold) or the body is known; here each is told to the leg, whose media decides. sippy hangs up
    on a REFER; `within.py` answers it."""

    def _recvRequestInvite(self, req: Any) -> Any:
        ua = self.ua
        ua.uasResp = req.genResponse(100, "Trying", server=ua.local_ua)
        ua.global_config["_sip_tm"].sendResponse(ua.uasResp)
        body = req.getBody()
        ua.rSDP = None if body is None else body.getCopy()
        ua.equeue.append(CCEvents.CCEventUpdate(body, rtime=req.rtime, origin=ua.origin))
        return (ua.UasStateUpdating,)

    recv_request_handlers: ClassVar[dict[str, Any]] = {
        "INVITE": _recvRequestInvite,
        "BYE": UaStateConnected._recvRequestBye,
    }


class Updating(UasStateUpdating):  # type: ignore[misc]
    """A re-INVITE that is being answered. sippy cannot wait for the ACK here, which brings the
    answer to our offer where the re-INVITE had none; and it hangs up where a re-INVITE is
    cancelled, which leaves the call as it was (RFC 3261 section 14.1)."""

    def cancel(self, rtime: Any, req: Any) -> None:
        """The peer has thought better of it."""
        self.ua.changeState((self.ua.UaStateConnected,))

    def _pre_connect(self, event: Any, extra: Any) -> Any:
        code, reason, body = event.getData()
        self.ua.lSDP = body
        self.ua.sendUasResponse(
            code, reason, body, (self.ua.lContact,), ack_wait=True, extra_headers=extra
        )
        return (self.ua.UaStateConnected,)

    recv_request_handlers: ClassVar[dict[str, Any]] = {
        "INVITE": UasStateUpdating._recvRequestInvite,
        "BYE": UasStateUpdating._recvRequestBye,
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
