"""Requests of ours that are no INVITE: within a call, and outside of every one.

In sippy's thread. sippy answers a challenge to an INVITE alone, sends where a name or another
transport leads, and forgets BYEs that were not accepted; `Asking` is its user agent without these
gaps, the base of `dialog.py:Dialog`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sippy.MsgBody import MsgBody
from sippy.SipAddress import SipAddress
from sippy.SipCallId import SipCallId
from sippy.SipContact import SipContact
from sippy.SipContentType import SipContentType
from sippy.SipFrom import SipFrom
from sippy.SipRequest import SipRequest
from sippy.SipTo import SipTo
from sippy.SipURL import SipURL
from sippy.UA import UA

from telebot.sip.messages import Address, Question, Reply
from telebot.sip.proof import ANSWERS, is_stale, proof
from telebot.sip.transport import header, headers, is_ip
from telebot.sip.trunks import Account

if TYPE_CHECKING:
    from telebot.sip.stack import Listening

TRIES = 3  # a challenge, a stale one, another of a proxy
# what each request gets of its own
OWN = frozenset(
    "via route max-forwards from to call-id cseq contact user-agent expires authorization "
    "proxy-authorization".split()
)

Told = Callable[[Reply], object]


class Asking(UA):  # type: ignore[misc]
    """sippy's user agent, able to ask. `account` answers challenges; requests go to `peer` where
    the peer's own messages name no address (what a name means was looked up before the call)."""

    account: Account | None = None
    peer: Address | None = None
    rAddr: Any

    def genRequest(self, method: str, *rest: Any, **options: Any) -> Any:
        """As sippy's, over UDP and to an IP address."""
        address: Address = self.rAddr[0]
        if self.peer is not None and not is_ip(str(address[0])):
            address = self.peer
        self.rAddr = (address, "udp")
        return super().genRequest(method, *rest, **options)

    def newTransaction(self, req: Any, req_extra_headers: Any = None, **options: Any) -> Any:
        """As sippy's; a challenge to it is answered."""
        if req.getMethod() not in ("INVITE", "ACK", "CANCEL"):
            then = options.get("resp_cb")
            options["resp_cb"] = partial(self._responded, req, then, 1)
        return super().newTransaction(req, req_extra_headers, **options)

    def ask(self, question: Question, told: Told) -> None:
        """A request within the call; its final response is told."""
        if not self.isConnected():
            told(Reply(481, "no such call"))
            return
        req = self.genRequest(
            question.method, body(question), extra_headers=headers(question.headers)
        )
        self.newTransaction(req, resp_cb=lambda resp: told(reply_of(resp)))

    def _responded(self, req: Any, then: Any, tries: int, resp: Any) -> None:
        if resp.scode < 200:
            return
        again = None
        if self.account is not None and tries < TRIES and self.state is not None:
            again = credentials(self.global_config, req, resp, self.account)
        if again is None:
            if then is not None:
                then(resp)
            return
        kept = tuple(one.getCopy() for one in req.headers if one.name not in OWN)
        second = self.genRequest(req.getMethod(), req.getBody(), extra_headers=(*kept, again))
        resp_cb = partial(self._responded, second, then, tries + 1)
        super().newTransaction(second, resp_cb=resp_cb)


class Outside:
    """A request outside of every call, to an address. Its final response is told; a challenge on
    the way is answered where there is an account."""

    def __init__(
        self, config: dict[str, Any], listening: Listening, question: Question, told: Told
    ) -> None:
        self._config = config
        self._listening = listening
        self._question = question
        self._told = told
        self._tries = 0
        self._sender = SipFrom(address=SipAddress(url=SipURL(question.sender)))
        self._sender.genTag()
        self._call_id = SipCallId(question.call_id or None)

    def send(self, to: Address, extra: tuple[Any, ...] = ()) -> None:
        """Send it, with `extra` headers."""
        question = self._question
        req = SipRequest(
            method=question.method,
            ruri=SipURL(question.uri),
            to=SipTo(address=SipAddress(url=SipURL(question.sender))),
            fr0m=self._sender.getCopy(),
            cseq=question.cseq + self._tries,
            callid=self._call_id,
            contact=self._contact(),
            target=(to, "udp"),
            user_agent=self._listening.user_agent,
        )
        self._tries += 1
        req.appendHeaders([*headers(question.headers), *extra])
        if question.body:
            req.setBody(body(question))
        self._config["_sip_tm"].newTransaction(req, partial(self._responded, req, to))

    def _contact(self) -> Any:
        question = self._question
        if not question.contact:
            return None
        host, port = self._listening.advertised, self._config["_port"]
        address = SipAddress(url=SipURL(username=question.contact, host=host, port=port))
        for name, value in question.contact_parameters:
            address.setParam(name, value)
        return SipContact(address=address)

    def _responded(self, req: Any, to: Address, resp: Any) -> None:
        if resp.scode < 200:
            return
        account = self._question.account
        if account is not None and self._tries < TRIES:
            again = credentials(self._config, req, resp, account)
            if again is not None:
                self.send(to, (again,))
                return
        self._told(reply_of(resp))


def credentials(config: dict[str, Any], req: Any, resp: Any, account: Account) -> Any | None:
    """The header by which `req` is to be sent again after a 401 or 407; None where the peer asked
    for nothing, or does not believe what it got."""
    if resp.scode not in ANSWERS:
        return None
    asks, answers = ANSWERS[resp.scode]
    challenges = [str(one.body) for one in resp.getHFs(asks)]
    if req.countHFs(answers.lower()) and not is_stale(challenges):
        return None
    uri = req.getRURI().localStr(own_address(config))
    content = req.getBody()
    value = proof(
        challenges,
        account,
        req.getMethod(),
        uri,
        body=b"" if content is None else str(content).encode("latin-1"),
    )
    return None if value is None else header(answers, value)


def own_address(config: dict[str, Any]) -> Any:
    """What sippy writes where a message says "me"."""
    server = next(iter(config["_sip_tm"].l4r.cache_l2s.values()))
    return server.getSIPaddr()


def body(question: Question) -> Any:
    """The body of a request that we write."""
    if not question.body:
        return None
    made = MsgBody(question.body, SipContentType(question.content_type))
    made.needs_update = False
    made.parsed = True
    return made


def reply_of(resp: Any) -> Reply:
    """A final response, as the loop may hold it."""
    source = resp.source[0] if resp.source is not None else None
    found = tuple((one.name, str(one.body)) for one in resp.headers)
    return Reply(resp.scode, resp.reason, found, source)
