"""What one call's media counted, as it goes into the call's record and the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from telebot.audio.g711 import BYTES_PER_MS
from telebot.sip.rtcp import Reports, opinion
from telebot.sip.rtp_in import RtpIn
from telebot.sip.rtp_out import RtpOut


@dataclass(frozen=True, slots=True)
class RtpStats:
    """Caller's way first, then the bot's as the peer reports it (None where it reports nothing).

    `lost` never came, `late` came after its gap was concealed; `junk` was dropped unread, by why.
    `mos` and `sent_mos` are estimates (`rtcp.opinion`) from 1 to 4.5."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    reordered: int = 0
    concealed_ms: int = 0
    jitter_ms: float = 0.0
    wait_ms: float = 0.0  # how long a gap is waited for, at the end
    mos: float | None = None
    sent: int = 0
    sent_lost: int | None = None
    sent_jitter_ms: float | None = None
    sent_mos: float | None = None
    round_trip_ms: float | None = None
    junk: dict[str, int] = field(default_factory=dict)


COUNTED = ("received", "lost", "late", "duplicate", "reordered", "concealed_ms", "sent")
MEASURED = ("jitter_ms", "mos", "sent_mos", "round_trip_ms")


class Totals:
    """Of all calls of the process that are over, for the metrics."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._measured: dict[str, tuple[int, float]] = dict.fromkeys(MEASURED, (0, 0.0))
        self.junk: Counter[str] = Counter()

    def add(self, stats: RtpStats) -> None:
        """One more call is over."""
        self._counts.update({name: getattr(stats, name) for name in COUNTED})
        self.junk.update(stats.junk)
        for name in MEASURED:
            value = getattr(stats, name)
            if value is not None and stats.received:
                calls, total = self._measured[name]
                self._measured[name] = calls + 1, total + value

    def count(self, name: str) -> int:
        """One of `COUNTED`."""
        return self._counts[name]

    def calls(self, name: str) -> int:
        """Of how many calls one of `MEASURED` is known."""
        return self._measured[name][0]

    def sum(self, name: str) -> float:
        return self._measured[name][1]


def gather(
    incoming: RtpIn, outgoing: RtpOut, reports: Reports, ptime_ms: int, junk: Mapping[str, int]
) -> RtpStats:
    """All of it, now. The delay of an estimate is half the round trip, a packet, and the wait."""
    trip_s = reports.round_trip_s
    way_s = (trip_s or 0.0) / 2 + ptime_ms / 1000
    expected = incoming.expected
    theirs = reports.their_lost is not None
    their_share = max(0, reports.their_total_lost) / max(1, outgoing.packets)
    their_wait_s = 2 * reports.their_jitter / 8000  # a usual buffer holds twice the jitter
    return RtpStats(
        received=incoming.packets,
        lost=incoming.lost,
        late=incoming.late,
        duplicate=incoming.duplicate,
        reordered=incoming.reordered,
        concealed_ms=incoming.concealed // BYTES_PER_MS,
        jitter_ms=round(incoming.jitter / BYTES_PER_MS, 2),
        wait_ms=round(incoming.wait_s * 1000, 1),
        mos=_rounded(opinion((incoming.lost + incoming.late) / expected, way_s + incoming.wait_s))
        if expected
        else None,
        sent=outgoing.packets,
        sent_lost=reports.their_total_lost if theirs else None,
        sent_jitter_ms=round(reports.their_jitter / BYTES_PER_MS, 2) if theirs else None,
        sent_mos=_rounded(opinion(their_share, way_s + their_wait_s)) if theirs else None,
        round_trip_ms=None if trip_s is None else round(trip_s * 1000, 1),
        junk=dict(junk),
    )


def _rounded(mos: float) -> float:
    return round(mos, 2)
