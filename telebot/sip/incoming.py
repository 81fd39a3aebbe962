"""What comes from the network and belongs to no call yet: the door.

In sippy's thread. An INVITE that may come in becomes a `dialog.py:Dialog` with its `leg.py:Leg`,
which is told to the loop; everything else is answered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sippy.Core.EventDispatcher import ED2
from sippy.Time.Timeout import Timeout

from telebot.sip import words
from telebot.sip.dialog import Dialog, body_of
from telebot.sip.leg import Invite, Leg
from telebot.sip.quiet import NoLog
from telebot.sip.transport import Transactions, headers

if TYPE_CHECKING:
    from telebot.sip.stack import Listening, Stack

FINISH_EVERY_S = 0.05

Answer = tuple[Any, Any, Any] | None


class Incoming:
    """sippy's request consumer."""

    def __init__(self, listening: Listening, stack: Stack) -> None:
        """Listens from here on. Raises OSError."""
        self._listening = listening
        self._stack = stack
        self.config: dict[str, Any] = {
            "_sip_address": listening.host,
            "_sip_port": listening.port,
            "_sip_logger": NoLog(),
        }
        self.transactions = Transactions(self.config, self.request)
        server = next(iter(self.transactions.l4r.cache_l2s.values()))
        server.advertised = listening.advertised
        self.port: int = server.uopts.laddress[1]
        self.config |= {"_sip_tm": self.transactions, "_port": self.port}

    def close(self) -> None:
        """Stop listening."""
        self.transactions.shutdown()

    def finish(self, within_s: float) -> None:
        """Leave the dispatcher's loop once no request of ours waits for its answer."""
        if not self.transactions.tclient or within_s <= 0:
            ED2.breakLoop()
        else:
            Timeout(self.finish, FINISH_EVERY_S, 1, within_s - FINISH_EVERY_S)

    def request(self, req: Any, sip_t: Any) -> Answer:
        """A request outside of every dialog we know."""
        method = req.getMethod()
        if req.getHFBody("to").getTag() is not None:
            return self._answer(req, 481)
        if method == "INVITE":
            return self._invite(req, sip_t)
        if method == "OPTIONS":
            return self._answer(req, 200, (*words.CAPABILITIES, ("Accept", "application/sdp")))
        return self._answer(req, 405 if method in words.KNOWN else 501, (words.ALLOW,))

    def _invite(self, req: Any, sip_t: Any) -> Answer:
        if req.countHFs("contact") != 1:
            return self._answer(req, 400)
        if req.getSource()[0] != "127.0.0.1":
            return self._answer(req, 403)
        dialog = Dialog(self.config, self._listening, self._stack)
        leg = dialog.leg = Leg(self._stack, dialog, _invite_of(req))
        answer: Answer = dialog.recvRequest(req, sip_t)
        self._stack.tell(self._stack.invited, leg)
        return answer

    def _answer(self, req: Any, status: int, extra: tuple[tuple[str, str], ...] = ()) -> Answer:
        response = req.genResponse(status, words.reason(status), server=self._listening.user_agent)
        response.appendHeaders(headers(extra))
        return response, None, None


def _invite_of(req: Any) -> Invite:
    uri = req.getHFBody("from").getUrl()
    return Invite(
        call_id=str(req.getHFBody("call-id")),
        phone_from=_text(uri.username),
        phone_to=_text(req.getRURI().username),
        source=req.getSource(),
        sdp=body_of(req.getBody()),
    )


def _text(value: str | None) -> str:
    """Bytes as they came, as text."""
    return (value or "").encode("latin-1", "replace").decode("utf-8", "replace")
