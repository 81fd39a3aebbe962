"""What comes from the network and belongs to no call yet: the door.

In sippy's thread. An INVITE that may come in becomes a `dialog.py:Dialog` with its `leg.py:Leg`,
which is told to the loop; everything else is answered here. Whoever is not known gets 403, an
INVITE above the rate 503 (`transport.py`), OPTIONS is answered for all.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sippy.Core.EventDispatcher import ED2
from sippy.Time.Timeout import Timeout

from telebot.sip import bodies, wants, words
from telebot.sip.asking import Outside
from telebot.sip.causes import told
from telebot.sip.dialog import Dialog
from telebot.sip.events import EVENTS
from telebot.sip.leg import Invite, Leg
from telebot.sip.messages import Address, Question, Reply
from telebot.sip.quiet import WireTrace
from telebot.sip.security import Guard, InviteRate, Verdict, parameters
from telebot.sip.transport import Transactions, headers
from telebot.sip.trunks import KnownTrunk
from telebot.sip.within import Within

if TYPE_CHECKING:
    from telebot.sip.stack import Listening, Stack

FINISH_EVERY_S = 0.05
LONGEST_NUMBER = 64
ACCEPT = ("Accept", bodies.SDP)

Answer = tuple[Any, Any, Any] | None
Extra = tuple[tuple[str, str], ...]


class Incoming:
    """sippy's request consumer."""

    def __init__(self, listening: Listening, stack: Stack) -> None:
        """Listens from here on. Raises OSError."""
        self._listening = listening
        self._trunks = listening.trunks
        self._stack = stack
        self.guard = Guard(time.monotonic)
        self.refused: Counter[int] = Counter()  # by status
        self.trace = WireTrace()
        self.config: dict[str, Any] = {
            "_sip_address": listening.host,
            "_sip_port": listening.port,
            "_sip_logger": self.trace,
        }
        self.transactions = Transactions(self.config, self.request)
        self.transactions.screen = self._screen
        self.server = next(iter(self.transactions.l4r.cache_l2s.values()))
        self.server.advertised = listening.advertised
        self.rate = self.server.rate = InviteRate(time.monotonic, self._trunks.rate_of)
        self.port: int = self.server.uopts.laddress[1]
        self.config |= {"_sip_tm": self.transactions, "_port": self.port}

    def counted(self) -> dict[str, float]:
        """What was counted, by the metric's name. For any thread."""
        return {
            "sip_messages_received": self.trace.received,
            "sip_messages_sent": self.trace.sent,
            "sip_messages_dropped": self.server.dropped,
            "sip_invites_over_rate": self.rate.refused,
            "sip_digests_wrong": self.guard.failed,
            "sip_lockouts": self.guard.locked,
        }

    def close(self) -> None:
        """Stop listening."""
        self.transactions.shutdown()

    def finish(self, within_s: float) -> None:
        """Leave the dispatcher's loop once no request of ours waits for its answer."""
        for consumers in list(self.transactions.req_consumers.values()):
            for one in list(consumers):
                one.cobj.leave()
        if not self.transactions.tclient or within_s <= 0:
            ED2.breakLoop()
        else:
            Timeout(self.finish, FINISH_EVERY_S, 1, within_s - FINISH_EVERY_S)

    def ask(self, question: Question, address: Address, told: Callable[[Reply], object]) -> None:
        """A request of ours outside of every call."""
        Outside(self.config, self._listening, question, told).send(address)

    def request(self, req: Any, sip_t: Any) -> Answer:
        """A request outside of every dialog we know."""
        stray = req.getHFBody("to").getTag() is not None
        if req.getMethod() == "INVITE" and not stray:
            return self._invite(req, sip_t)
        status, extra = (481, ()) if stray else self._outside(req)
        return self._answer(req, status, extra), None, None

    def _outside(self, req: Any) -> tuple[int, Extra]:
        """The answer to what begins no call."""
        method = req.getMethod()
        if method in ("NOTIFY", "SUBSCRIBE"):  # a PBX tells its telephones of their mailbox so
            return 489, EVENTS
        if method not in words.METHODS:
            return 405 if method in words.KNOWN else 501, (words.ALLOW,)
        if unknown := wants.unknown_extensions(req):
            return 420, (("Unsupported", unknown),)
        if method == "OPTIONS":  # whoever spreads calls over servers then leaves this one out
            if self._listening.draining():
                return 503, told("draining").retry_after
            return 200, (*words.CAPABILITIES, ACCEPT)
        return 481, ()  # BYE, INFO … of a call that is none

    def _screen(self, invite: Any) -> Any:
        """The answer to an INVITE that may not come in, or None; then its trunk and its session
        description hang on it."""
        if wrong := self._malformed(invite):
            return self._refusal(invite, *wrong)
        address = invite.getSource()[0]
        trunks = self._trunks.of(address)
        if not trunks:
            return self._refusal(invite, 403)
        by_address = [trunk for trunk in trunks if trunk.credentials is None]
        ours = (one for one in by_address if one.takes(_called(invite, one)))
        trunk: KnownTrunk | None = next(ours, None)
        if trunk is None and len(by_address) < len(trunks):
            found = self._authenticated(invite, address, [t for t in trunks if t.credentials])
            if not isinstance(found, KnownTrunk):
                return found
            trunk = found
        if trunk is None or not trunk.takes(_called(invite, trunk)):
            return self._refusal(invite, 404)
        invite.trunk = trunk
        return None

    def _authenticated(self, invite: Any, address: str, trunks: list[KnownTrunk]) -> Any:
        """The trunk whose digest an INVITE bears, or the answer to it."""
        header = next((str(one.body) for one in invite.getHFs("authorization")), None)
        trunk = _named(header, trunks)
        assert trunk.credentials is not None
        verdict = self.guard.judge(header, trunk.credentials, "INVITE", address)
        if verdict is Verdict.GOOD:
            return trunk
        if verdict is Verdict.LOCKED:
            return self._refusal(invite, 403)
        stale = verdict is Verdict.STALE
        agent = wants.first(invite, "user-agent") or ""
        asked = self.guard.challenges(address, trunk.credentials, agent, stale=stale)
        return self._refusal(invite, 401, tuple(("WWW-Authenticate", one) for one in asked))

    def _malformed(self, invite: Any) -> tuple[int, Extra] | None:
        """What an INVITE must have beyond what every request must."""
        if unknown := wants.unknown_extensions(invite):
            return 420, (("Unsupported", unknown),)
        if [one.body.body == "*" for one in invite.getHFs("contact")] != [False]:
            return 400, ()
        encodings = {str(one.body).lower() for one in invite.getHFs("content-encoding")}
        if encodings - {"identity"}:
            return 415, (("Accept-Encoding", "identity"),)
        if not wants.accepts_sdp(invite):
            return 406, (ACCEPT,)
        return Within.unfit(invite)

    def _invite(self, req: Any, sip_t: Any) -> Answer:
        if self._came_another_way(req):
            return self._answer(req, 482), None, None
        dialog = Dialog(self.config, self._listening, self._stack)
        leg = dialog.leg = Leg(self._stack, dialog, _invite_of(req))
        answer: Answer = dialog.recvRequest(req, sip_t)
        self._stack.tell(self._stack.invited, leg)
        return answer

    def _came_another_way(self, req: Any) -> bool:
        """Whether a proxy sent us the same request twice (RFC 3261 section 8.2.2.2)."""
        consumers = self.transactions.req_consumers.get(str(req.getHFBody("call-id")), ())
        tag, number = req.getHFBody("from").getTag(), req.getHFBody("cseq").getCSeqNum()
        return any(one.cobj.rUri.getTag() == tag and one.cobj.rCSeq == number for one in consumers)

    def _refusal(self, req: Any, status: int, extra: Extra = ()) -> Any:
        self.refused[status] += 1
        return self._answer(req, status, extra)

    def _answer(self, req: Any, status: int, extra: Extra = ()) -> Any:
        response = req.genResponse(status, words.reason(status), server=self._listening.user_agent)
        response.appendHeaders(headers(extra))
        return response


def _invite_of(req: Any) -> Invite:
    return Invite(
        call_id=_text(str(req.getHFBody("call-id"))),
        phone_from=_number(_text(wants.caller(req))),
        phone_to=_number(_called(req, req.trunk)),
        source=req.getSource(),
        sdp=wants.description(req),
        trunk=req.trunk,
    )


def _called(invite: Any, trunk: KnownTrunk) -> str:
    """The number that is called. A registrar that sends to our Contact says it in To."""
    user = _text(invite.getRURI().username)
    if user and user == trunk.registered_user:
        return _text(invite.getHFBody("to").getUrl().username) or user
    return user


def _named(header: str | None, trunks: list[KnownTrunk]) -> KnownTrunk:
    """The trunk whose user the credentials name, else the first."""
    user = parameters(header or "").get("username")
    of_user = (one for one in trunks if one.credentials and one.credentials.user == user)
    return next(of_user, trunks[0])


def _number(user: str) -> str:
    """A number as a record may keep it."""
    return "".join(char for char in user if char.isprintable())[:LONGEST_NUMBER]


def _text(value: str | None) -> str:
    """Bytes as they came, as text."""
    return (value or "").encode("latin-1", "replace").decode("utf-8", "replace")
