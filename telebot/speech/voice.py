"""The bot's voice on one call: queued audio out to the carrier, and back what was played of it.

One owner of the `PlayOut` clock and of the marks. `Ticker` is the one timer of the process that
tops every talking call up; a silent call costs nothing. The recording gets the audio as it was
played, placed by the carrier's clock.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
from collections import deque
from collections.abc import Callable
from functools import partial

import structlog

from telebot.audio.line import TICKS_PER_S
from telebot.call.events import MediaWire
from telebot.call.ports import Clock, Recording
from telebot.speech.playout import PlayOut

TICK_S = 0.02
EVERY = -1  # the phase of a voice that is topped up at every tick
STALL_S = 0.5  # after a longer stall of the process start a new schedule, do not replay it
MARK_EVERY = TICKS_PER_S  # a mark at least once a second of audio
MARK_PATIENCE_S = 1.0  # a mark this late says that the carrier has not played what we think
UNCONFIRMED_S = 0.3  # what a carrier that tells nothing is given to play the last words
RECORD_EVERY = TICKS_PER_S // 2  # played audio goes to the recording in pieces of half a second

PACED_PIECE_MS = 20  # audio for a wire with a lead of its own goes in pieces like these

Then = Callable[[], None]
log = structlog.get_logger()


class Ticker:
    """Tops up every talking call each `period_s`, spread over its ticks so that not all calls
    write at once; a call whose wire wants its audio in time at each tick. Owned by the process;
    `run` is its task."""

    def __init__(self, period_s: float, clock: Clock) -> None:
        self._phases = max(1, round(period_s / TICK_S))
        self._clock = clock
        self._joined = 0
        self.talking: set[Voice] = set()

    def next_phase(self) -> int:
        self._joined += 1
        return self._joined % self._phases

    async def run(self) -> None:
        due, tick = self._clock(), 0
        while True:
            due += TICK_S
            tick += 1
            ahead = due - self._clock()
            if ahead < -STALL_S:
                due = self._clock()
            await asyncio.sleep(max(0.0, ahead))
            now, phase = self._clock(), tick % self._phases
            for voice in [voice for voice in self.talking if voice.phase in (phase, EVERY)]:
                try:
                    voice.tick(now)
                except Exception:  # one call's fault must not silence the others
                    log.exception("voice failed")
                    self.talking.discard(voice)


class Voice:
    """Everything that leaves towards the caller's ear, in the `form` of its line. `stream_time`
    says how many ticks into the carrier's stream a clock time is."""

    def __init__(
        self,
        wire: MediaWire,
        ticker: Ticker,
        clock: Clock,
        *,
        piece_ms: int,
        lead_ms: int,
        recording: Recording | None,
        stream_time: Callable[[float], int],
    ) -> None:
        self._wire = wire
        self._ticker = ticker
        if wire.lead_ms is not None:
            lead_ms, piece_ms = wire.lead_ms, PACED_PIECE_MS
        piece_ms = wire.piece_ms or piece_ms
        self._clock = clock
        self._recording = recording
        self._stream_time = stream_time
        self.form = form = wire.line.says
        self._tick = form.bytes_a_tick
        self._out = PlayOut(piece_ms * TICKS_PER_S // 1000, lead_ms * TICKS_PER_S // 1000, form)
        self._thens: list[tuple[int, int, Then]] = []  # a heap by position, then by order
        self._order = itertools.count()
        self._marks: deque[tuple[str, int, float]] = deque()  # name, position, clock time due
        self._epoch = 0
        self._acked = -1  # the last position that a mark confirmed; -1: this carrier never did
        self._marked = 0  # the last position marked
        self._last = -1  # position to be marked when it is sent: a reply ends there
        self._all_played: asyncio.Event | None = None
        self._first_mark = ""  # the mark behind the first piece after a silence
        self._recorded = 0
        self._run_start = (0, 0)  # position, and where in the stream it was played
        self._closed = False
        self.phase = ticker.next_phase() if wire.lead_ms is None else EVERY
        self.on_first_sent: Callable[[int], None] | None = None  # position
        self.on_first_played: Callable[[int], None] | None = None  # ticks in the first piece

    @property
    def queued(self) -> int:
        """Position after the last audio appended."""
        return self._out.queued

    @property
    def held(self) -> bool:
        return self._out.held

    @property
    def talking(self) -> bool:
        """The caller hears the bot now, or will without another word from anybody."""
        return not self._out.idle(self._clock())

    def played(self) -> int:
        """Position that the caller has heard: by the clock, but not past a mark long overdue."""
        now = self._clock()
        by_clock = self._out.played(now)
        if self._acked < 0:
            return by_clock
        for _, position, due in self._marks:
            if due + MARK_PATIENCE_S < now:
                return min(by_clock, max(position, self._acked))
        return by_clock

    def say(self, audio: bytes) -> None:
        """Append audio, whole ticks; it leaves at once where the lead allows it."""
        self._out.append(audio)
        if not self._closed:
            self._ticker.talking.add(self)
            self._top_up(self._clock())

    def then(self, position: int, do: Then) -> None:
        """Run `do` once the audio up to `position` was played; forgotten by an interruption."""
        heapq.heappush(self._thens, (position, next(self._order), do))
        if not self._closed:
            self._ticker.talking.add(self)

    def hold(self) -> None:
        """Send nothing more for now; what the carrier has goes on playing."""
        self._out.held = True

    def release(self) -> None:
        """End a hold; nothing was lost."""
        self._out.held = False
        if not self._closed:
            self._ticker.talking.add(self)
        self._top_up(self._clock())

    def silence(self) -> int:
        """Silence the caller's ear now, keeping what was not heard; returns the position."""
        now = self._clock()
        self._out.held = True
        if self._out.end > now:
            position = self._out.cut(now)
            self._epoch += 1
            self._marks.clear()
            if self._all_played is not None:
                self._all_played.set()
            self._wire.send_clear()
        else:
            position = self._out.cut(now)
        self._record(position)
        self._marked = min(self._marked, position)
        return position

    def resume(self, position: int) -> None:
        """Go on from `position` after a silence."""
        self._out.rewind(position)
        self._recorded = self._out.cursor
        self.release()

    def drop(self) -> int:
        """Say nothing more of what is queued; returns the position where it was cut."""
        position = self.silence()
        self._out.drop()
        self._thens.clear()
        self._out.held = False
        return position

    def take_back(self, position: int) -> int:
        """What is queued behind `position` is never said, as far as it was not sent: a clear in the
        middle of a reply costs more than a word that is begun twice. Returns the position after
        what is left."""
        self._out.drop(position)
        return self._out.queued

    def finish(self) -> None:
        """What is queued now is the end of a reply: its last audio is marked."""
        self._last = self._out.queued
        self._out.complete()
        self._top_up(self._clock())
        if self._last > self._marked and self._out.cursor >= self._last and self.talking:
            self._send_mark(self._last)

    def acknowledged(self, name: str) -> bool:
        """A mark came back. False where it is stale (from before a clear) or none of ours."""
        if all(known != name for known, _, _ in self._marks):
            return False
        position = self._acked
        while self._marks:
            known, position, _ = self._marks.popleft()
            if known == name:
                break
        self._acked = position
        if not self._marks and self._all_played is not None:
            self._all_played.set()
        if name == self._first_mark and self.on_first_played is not None:
            self.on_first_played(position - self._run_start[0])
        return True

    def _acknowledge(self, name: str) -> None:
        """By our own clock, where nobody else says what was played."""
        self.acknowledged(name)

    async def confirmed(self, timeout_s: float) -> None:
        """Wait until the carrier says that the last mark was played, where it says such things."""
        if self._marks and self._acked >= 0:
            self._all_played = asyncio.Event()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._all_played.wait(), timeout_s)
        if self._acked < 0 or not self._wire.echoes_marks:
            await asyncio.sleep(min(timeout_s, UNCONFIRMED_S))

    def tick(self, now: float) -> None:
        """The ticker's call: send what is due, run what waited for played audio."""
        self._top_up(now)
        played = self._out.played(now)
        if self._recording is not None and played - self._recorded >= RECORD_EVERY:
            self._record(played)
        while self._thens and self._thens[0][0] <= played and not self._out.held:
            heapq.heappop(self._thens)[2]()
        if self._out.idle(now) and not self._thens:
            self._record(played)
            self._ticker.talking.discard(self)

    def close(self) -> None:
        """The call is over: nothing is sent any more, the recording has all that was played."""
        if not self._closed:
            self._record(self._out.played(self._clock()))
            self._closed = True
            self._thens.clear()
            self._ticker.talking.discard(self)

    def _top_up(self, now: float) -> None:
        out = self._out
        if self._closed or out.held:
            return
        start = out.cursor
        starts_run = out.end <= now
        for piece in out.due(now):
            self._wire.send_audio(piece)
            ticks = len(piece) // self._tick
            start += ticks
            if starts_run:
                starts_run = False
                self._begin_run(start - ticks, now)
                self._send_mark(start)
                self._first_mark = self._marks[-1][0]
            elif start - self._marked >= MARK_EVERY or start == self._last:
                self._send_mark(start)

    def _begin_run(self, position: int, now: float) -> None:
        """Audio after a silence: it is played from now on."""
        self._record(position)
        self._run_start = (position, self._stream_time(now))
        if self.on_first_sent is not None:
            self.on_first_sent(position)

    def _send_mark(self, position: int) -> None:
        name = f"{self._epoch}:{position}:{next(self._order)}"
        self._marks.append((name, position, self._out.end))
        self._marked = position
        if self._wire.echoes_marks:
            self._wire.send_mark(name)
        else:
            self.then(position, partial(self._acknowledge, name))

    def _record(self, upto: int) -> None:
        if self._recording is not None and upto > self._recorded:
            position, at_sample = self._run_start
            audio = self._out.between(self._recorded, upto)
            self._recording.bot(audio, at_sample + self._recorded - position)
        self._recorded = max(self._recorded, upto)
