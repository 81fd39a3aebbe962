"""Why calls end: SIP statuses and Q.850 causes against our termination reasons.

Pure. Sources: RFC 3261 section 21, RFC 3326 (Reason), RFC 3398 section 8.2.6 (status ↔ cause).
"""

from __future__ import annotations

from dataclasses import dataclass

NORMAL_CLEARING = 16
RETRY_AFTER_S = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a leg ended or shall end: a SIP status, a Q.850 cause, what was said about it.

    `status` is for a leg that was not answered; 0 where nothing was said."""

    status: int = 0
    q850: int = NORMAL_CLEARING
    text: str = ""
    retry_after_s: int = 0

    @property
    def retry_after(self) -> tuple[tuple[str, str], ...]:
        """The header, where there is to be one."""
        return (("Retry-After", str(self.retry_after_s)),) if self.retry_after_s else ()


# why we refuse or end: what the peer is told
_TOLD = {
    "capacity": Cause(503, 42, "all lines are busy", RETRY_AFTER_S),
    "draining": Cause(503, 41, "shutting down", RETRY_AFTER_S),
    "unknown_number": Cause(404, 1, "no such number here"),
    "duplicate": Cause(482, 16),
    "server_error": Cause(503, 41, "fault here", RETRY_AFTER_S),
    "bad_media": Cause(488, 88, "no common codec"),
    "stream_lost": Cause(480, 27, "no audio came"),
    "no_media": Cause(480, 27, "no audio came"),
    "max_duration": Cause(480, 31, "longest call reached"),
    "session_expired": Cause(480, 102, "session timer expired"),
}
TRUNK_FULL = Cause(486, 17, "the trunk is busy", RETRY_AFTER_S)


def told(reason: str) -> Cause:
    """What the peer is told where we end a call for a termination reason."""
    return _TOLD.get(reason, Cause(480, NORMAL_CLEARING))


# a person hung up: normal clearing, or nothing was said
_PERSON = frozenset({0, NORMAL_CLEARING, 31})


def read(cause: Cause) -> str:
    """The termination reason of a call that its peer ended with BYE or CANCEL: a person did it, or
    the network (RFC 3326: a failure, another phone that was faster)."""
    if cause.status or cause.q850 not in _PERSON:
        return "carrier_ended"
    return "caller_hangup"


# refusals of a call that we make (RFC 3261 section 21.4 and 21.6)
_MISSED = {
    401: "dial_failed",
    403: "declined",
    407: "dial_failed",
    408: "no_answer",
    480: "no_answer",
    486: "busy",
    487: "no_answer",
    488: "bad_media",
    600: "busy",
    603: "declined",
    606: "bad_media",
    607: "declined",  # unwanted (RFC 8197)
    608: "declined",  # rejected (RFC 8688)
}
# what a gateway knows better than its status says (RFC 3398 section 8.2.6.1)
_MISSED_Q850 = {
    1: "unreachable",  # unallocated number
    3: "unreachable",  # no route
    17: "busy",
    18: "no_answer",
    19: "no_answer",
    21: "declined",
    22: "unreachable",  # number changed
    28: "unreachable",  # invalid number
}


def missed(cause: Cause) -> str:
    """The termination reason of a call of ours that nobody took."""
    known = _MISSED.get(cause.status)
    vague = known is None or cause.status in (403, 408, 480)
    if vague and cause.q850 in _MISSED_Q850:
        return _MISSED_Q850[cause.q850]
    return known or "unreachable"
