"""Session timers: when a call whose peer has gone is noticed without audio. Pure.

RFC 4028. Whoever is named refresher sends an UPDATE or a re-INVITE at half the interval; the other
side hangs up when none comes. `refreshing.py` keeps the clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

LEAST_S = 90  # section 5
EXTENSION = "timer"
INTERVAL = re.compile(r"\s*([0-9]{1,9})\s*((?:;[^;]*)*)")
REFRESHER = re.compile(r";\s*refresher\s*=\s*(uac|uas)\s*(?:;|$)", re.IGNORECASE)


class BadInterval(ValueError):
    """A Session-Expires or Min-SE that is none (answer 400)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What an INVITE or UPDATE says of it. `refresher` is ``uac`` (whoever sent it), ``uas`` or
    empty; `supported`: its sender knows session timers."""

    interval_s: int | None = None
    refresher: str = ""
    least_s: int = LEAST_S
    supported: bool = False

    @property
    def too_small(self) -> bool:
        """To be refused by 422 with our Min-SE (section 9)."""
        return self.supported and self.interval_s is not None and self.interval_s < LEAST_S


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides hold to."""

    interval_s: int
    we_refresh: bool
    peer_knows: bool = True

    @property
    def due_s(self) -> float:
        """When we refresh, or when we have missed theirs (section 10)."""
        if self.we_refresh:
            return self.interval_s / 2
        return self.interval_s - min(32.0, self.interval_s / 3)

    def as_answer(self) -> tuple[tuple[str, str], ...]:
        """The headers of our 200."""
        refresher = "uas" if self.we_refresh else "uac"
        told = (("Session-Expires", f"{self.interval_s};refresher={refresher}"),)
        return told if self.we_refresh else (*told, ("Require", EXTENSION))

    def as_request(self) -> tuple[tuple[str, str], ...]:
        """The headers of our refresh: we stay the refresher."""
        return (("Session-Expires", f"{self.interval_s};refresher=uac"), ("Min-SE", str(LEAST_S)))


def read(session_expires: str | None, min_se: str | None, supported: Iterable[str]) -> Asked:
    """What a message says. Raises `BadInterval`."""
    least_s = max(LEAST_S, _interval(min_se)[0]) if min_se is not None else LEAST_S
    known = EXTENSION in {one.strip().lower() for one in supported}
    if session_expires is None:
        return Asked(None, "", least_s, known)
    interval_s, rest = _interval(session_expires)
    named = REFRESHER.search(rest)
    return Asked(interval_s, named.group(1).lower() if named else "", least_s, known)


def agree(asked: Asked, ours_s: int) -> Terms | None:
    """Our answer to an INVITE or UPDATE; None where there is no timer. `ours_s`: what we would
    rather have, 0 for none. A peer that does not know timers does not refresh."""
    if asked.interval_s is None and (not asked.supported or not ours_s):
        return None
    wanted_s = asked.interval_s or ours_s
    interval_s = min(wanted_s, ours_s) if ours_s else wanted_s
    interval_s = max(interval_s, asked.least_s)
    if not asked.supported:
        return Terms(interval_s, True, False)
    return Terms(interval_s, asked.refresher == "uas")


def accepted(told: Asked) -> Terms | None:
    """What a 200 to a request of ours says; None where the peer has no timer."""
    if told.interval_s is None:
        return None
    return Terms(max(1, told.interval_s), told.refresher != "uas")


def _interval(text: str) -> tuple[int, str]:
    found = INTERVAL.fullmatch(text)
    if found is None:
        raise BadInterval(text[:40])
    return int(found.group(1)), found.group(2)
