"""The one timer of all RTP streams of a process: a beat every 10 ms, shared out to those due.

A stream with packets of 20 ms is called every second beat. Streams with the same period are spread
over its beats, so that hundreds of calls do not all send at once. Without streams there is no
timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

BEAT_S = 0.01
BEAT_SAMPLES = 80
MOST_LATE = 6  # beats (60 ms) made up for after a stall
MOST_IN_A_ROW = 3  # calls of one stream for them

OnBeat = Callable[[int, float], None]  # the beat's number, the clock time
log = structlog.get_logger(__name__)


class Beats:
    """Owned by `Ports`; `join` and `leave` may be called from within a beat."""

    def __init__(self) -> None:
        self._slots: dict[int, list[dict[OnBeat, None]]] = {}
        self._where: dict[OnBeat, dict[OnBeat, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._began = 0.0
        self.beat = 0
        self.skipped = 0  # beats left out because the process stood still

    def join(self, period: int, on_beat: OnBeat) -> None:
        """Have `on_beat` called every `period` beats from now on (instead of as before)."""
        self.leave(on_beat)
        slots = self._slots.get(period)
        if slots is None:
            slots = self._slots[period] = [{} for _ in range(period)]
        slot = min(slots, key=len)
        slot[on_beat] = None
        self._where[on_beat] = slot
        if self._timer is None:
            self._start()

    def leave(self, on_beat: OnBeat) -> None:
        slot = self._where.pop(on_beat, None)
        if slot is not None:
            del slot[on_beat]

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._slots.clear()
        self._where.clear()

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        self._began = loop.time() - self.beat * BEAT_S
        self._timer = loop.call_at(self._began + (self.beat + 1) * BEAT_S, self._run, loop)

    def _run(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        late = round((now - self._began) / BEAT_S) - self.beat
        if late > MOST_LATE:
            self.skipped += late - 1
            self.beat += late - 1
            late = 1
        for left in range(max(1, late), 0, -1):
            self.beat += 1
            self._call(now, left)
        if not self._where:
            self._timer = None
            return
        self._timer = loop.call_at(self._began + (self.beat + 1) * BEAT_S, self._run, loop)

    def _call(self, now: float, left: int) -> None:
        beat = self.beat
        for period, slots in list(self._slots.items()):
            if left > MOST_IN_A_ROW * period:
                continue
            slot = slots[beat % period]
            for on_beat in list(slot) if slot else ():
                try:
                    on_beat(beat, now)
                except Exception:  # one call's fault must not silence the others
                    log.exception("beat_failed")
                    self.leave(on_beat)
