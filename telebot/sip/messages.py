"""What we ask of peers, and what they answer, as both threads may hold it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from telebot.sip.trunks import Account

Address = tuple[str, int]
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """A request that is no INVITE. Within a call `method`, `headers` and the body suffice."""

    method: str
    headers: Headers = ()
    body: str = ""
    content_type: str = ""
    # outside of calls
    uri: str = ""
    sender: str = ""  # URI of From, and of To
    contact: str = ""  # the user of our Contact; none where it is empty
    contact_parameters: Headers = ()
    call_id: str = ""
    cseq: int = 1
    account: Account | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """The final response. 408 also where none came; `source` is None then."""

    status: int
    reason: str
    headers: Headers = ()
    source: Address | None = None

    def all(self, name: str) -> list[str]:
        """The values of a header, in their order."""
        return [value for known, value in self.headers if known == name.lower()]

    def first(self, name: str) -> str | None:
        return next(iter(self.all(name)), None)


@dataclass(frozen=True, slots=True)
class Order:
    """An INVITE that is to go out. `to` is the request's URI, `sender` the URI of From, `user` the
    user of our Contact."""

    to: str
    sender: str
    user: str
    sdp: bytes
    call_id: str
    account: Account | None = None
    headers: Headers = field(default=())


@dataclass(frozen=True, slots=True)
class Notice:
    """A NOTIFY of a REFER (RFC 3515 section 2.4): the status that it tells of (0 where it cannot
    be read), and whether it is the last one."""

    status: int
    last: bool


@dataclass(frozen=True, slots=True)
class Identity:
    """What a call is called by in Replaces (RFC 3891), and where its other side is reached. Tags
    are "" before there is a dialog."""

    call_id: str
    local_tag: str
    remote_tag: str
    target: str
