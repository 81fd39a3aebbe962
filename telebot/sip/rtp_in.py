"""What the caller says: RTP packets as they come, to audio in order with every gap closed. No I/O.

A recogniser needs no loudspeaker's even clock, so a packet that comes in its turn passes through at
once and costs next to nothing. Only a gap waits: for as long as packets of this stream have been
seen to come late, at most `longest_wait_s`; then it is concealed. Positions are samples since the
first packet by the sender's clock, so a timestamp stays right whatever was waited for.
"""

from __future__ import annotations

from collections.abc import Callable

from aiortp import PcmConcealer

from telebot.audio import g711
from telebot.audio.g711 import BYTES_PER_MS, RATE_HZ, SILENCE

MASK, HALF = 0xFFFFFFFF, 0x80000000
MOST_DROPOUT = 3000  # packets missing beyond which it is another stream (RFC 3550 appendix A.1)
MOST_MISORDER = 100
MOST_HELD = 50  # packets behind one gap
FIRST_WAIT_S, LEAST_WAIT_S = 0.06, 0.02
FORGET = 0.997  # of what was seen to come late, ten times a second
MOST_FILLED = RATE_HZ  # a longer gap stays one
DOUBT = RATE_HZ  # a timestamp this far from the clock is another count
PAUSE = RATE_HZ // 10  # less between two packets with different counts is jitter
REMEMBERED = 64  # packets given up that may still come
MARGIN_S = 0.01

Deliver = Callable[[bytes, int], None]  # mu-law, milliseconds since the stream's start


class RtpIn:
    """One stream of one call. `packet` is the hot path (50 a second)."""

    def __init__(self, deliver: Deliver, longest_wait_s: float = 0.2) -> None:
        self.deliver = deliver
        self.longest_wait_s = longest_wait_s
        self._late_s = FIRST_WAIT_S  # how late packets of this stream come
        self._next = -1  # sequence number that is due, counted on past 65,535
        self._next_ts = 0
        self._position = 0
        self._filled = 0  # position up to which silence was made up while nothing came
        self._last = b""  # the last audio, of which a gap is made up
        self._concealer = PcmConcealer(RATE_HZ)
        self._held: dict[int, tuple[int, bytes, float]] = {}  # timestamp, audio, arrival
        self._gap_at = 0.0  # when the packet behind the gap came
        self._given_up: dict[int, float] = {}
        self._restart_at = -1  # the next packet of what may be a new count
        self._jitter_ts = 0
        self._first = 0  # first sequence number of this source
        self._began_at = 0.0  # arrival of the first packet
        self.heard_at = 0.0  # arrival of the last audio in order
        self.jitter = 0.0  # samples (RFC 3550 section 6.4.1)
        self.packets = self.lost = self.late = self.duplicate = self.reordered = 0
        self.concealed = 0  # samples
        self._expected_before = 0  # of sources that are over

    @property
    def waiting(self) -> bool:
        """Packets are held behind a gap; `tick` has to be called."""
        return bool(self._held)

    @property
    def wait_s(self) -> float:
        """How long a gap is waited for."""
        return min(self.longest_wait_s, max(LEAST_WAIT_S, self._late_s))

    @property
    def highest(self) -> int:
        """Extended highest sequence number received."""
        return max(self._held, default=self._next - 1)

    @property
    def expected(self) -> int:
        """Packets that should have come."""
        return self._expected_before + (self.highest - self._first + 1 if self._next >= 0 else 0)

    def packet(self, seq: int, ts: int, ulaw: bytes, now: float) -> None:
        """One packet came; `ulaw` is empty where it holds no audio (events, comfort noise)."""
        self.packets += 1
        if seq == self._next & 0xFFFF and self._next >= 0:
            self._next += 1
            if ulaw:
                self._audio(ts, ulaw, now)
            if self._held:
                self._found(now)
        elif self._next < 0:
            self._begin(seq, ts, now)
            self.packet(seq, ts, ulaw, now)
            self.packets -= 1
        else:
            self._out_of_order(seq, ts, ulaw, now)

    def new_source(self) -> None:
        """Another SSRC: sequence numbers and timestamps begin anew, the position goes on."""
        if self._next < 0:
            return
        self._expected_before = self.expected
        while self._held:
            self._give_up()
        self._given_up.clear()
        self._next = -1

    def tick(self, now: float) -> None:
        """Give up gaps that were waited for long enough."""
        while self._held and now - self._gap_at >= self.wait_s:
            self._give_up()

    def forget(self) -> None:
        """Ten times a second: lateness that was seen long ago counts less."""
        self._late_s = max(LEAST_WAIT_S, self._late_s * FORGET)

    def fill(self, now: float, lag_s: float, noise: Callable[[int], bytes]) -> None:
        """Nothing comes: bridge the time up to `lag_s` before now."""
        until = self._position + int((now - self.heard_at - lag_s) * RATE_HZ)
        begins = max(self._position, self._filled)
        if until - begins >= RATE_HZ // 100 and self._next >= 0:
            self.deliver(noise(min(until - begins, MOST_FILLED)), begins // BYTES_PER_MS)
            self._filled = until

    # --- in order ------------------------------------------------------------------------------

    def _begin(self, seq: int, ts: int, now: float) -> None:
        if self._last:  # the position goes on by the clock, see `_jump`
            self._next_ts = (ts - HALF) & MASK
        else:
            self._next_ts = ts
            self._began_at = now
        self._jitter_ts = (ts - HALF) & MASK  # no jitter against what was before
        self._next = self._first = seq

    def _audio(self, ts: int, ulaw: bytes, now: float, *, lost: bool = False) -> None:
        samples = len(ulaw)
        if ts != self._next_ts:
            self._jump(ts, samples, now, lost=lost)
        moved = (now - self.heard_at) * RATE_HZ - ((ts - self._jitter_ts + HALF & MASK) - HALF)
        if -DOUBT < moved < DOUBT:
            self.jitter += (abs(moved) - self.jitter) / 16
        self._jitter_ts = ts
        self.heard_at = now
        self.deliver(ulaw, self._position // BYTES_PER_MS)
        self._position += samples
        self._next_ts = ts + samples & MASK
        self._last = ulaw

    def _jump(self, ts: int, samples: int, now: float, *, lost: bool) -> None:
        """The timestamp is not the one that was due: audio is missing, the sender was silent, or
        it counts anew."""
        step = (ts - self._next_ts + HALF & MASK) - HALF
        passed = int((now - self.heard_at) * RATE_HZ)
        if not self._last:
            return
        if step < 0 or abs(step + samples - passed) > DOUBT:
            step = passed - samples  # another count: go on by our clock
            step = step if step >= PAUSE else 0
        elif not lost and self._position + step > (now - self._began_at) * RATE_HZ + DOUBT:
            step = 0  # it counts more than it says, packet by packet
        begins = max(self._position, self._filled)
        missing = self._position + step - begins
        if 0 < missing <= MOST_FILLED:
            audio = self._conceal(missing) if lost else SILENCE * missing
            self.deliver(audio, begins // BYTES_PER_MS)
        self._position += step

    def _conceal(self, samples: int) -> bytes:
        self.concealed += samples
        self._concealer.update(g711.decode(self._last))
        return g711.encode(self._concealer.conceal(samples))

    # --- out of order --------------------------------------------------------------------------

    def _out_of_order(self, seq: int, ts: int, ulaw: bytes, now: float) -> None:
        ahead = ((seq - self._next + 0x8000) & 0xFFFF) - 0x8000
        number = self._next + ahead
        past = -MOST_MISORDER <= ahead < 0
        if past and (number in self._given_up or (ts - self._next_ts & MASK) >= HALF):
            self._past(number, now)
        elif past or not 0 < ahead < MOST_DROPOUT:
            if seq == self._restart_at:  # two in a row: it counts anew
                self.new_source()
                self.packets -= 1
                self.packet(seq, ts, ulaw, now)
            self._restart_at = seq + 1 & 0xFFFF
        elif number in self._held:
            self.duplicate += 1
        else:
            if not self._held:
                self._gap_at = now
            self._held[number] = (ts, ulaw, now)
            while len(self._held) > MOST_HELD or (self._held and number - self._next > MOST_HELD):
                self._give_up()

    def _past(self, number: int, now: float) -> None:
        """A packet whose turn is over: too late, or there before."""
        missed_at = self._given_up.pop(number, None)
        if missed_at is None:
            self.duplicate += 1
        else:
            self.late += 1
            self.lost -= 1
            self._late_s = max(self._late_s, now - missed_at + MARGIN_S)

    def _found(self, now: float) -> None:
        """The gap is closed: what waited behind it goes on, up to the next gap."""
        self.reordered += 1
        self._late_s = max(self._late_s, now - self._gap_at + MARGIN_S)
        self._release()

    def _release(self) -> None:
        held = self._held
        while (one := held.pop(self._next, None)) is not None:
            self._next += 1
            ts, ulaw, came = one
            if ulaw:
                self._audio(ts, ulaw, came)
        if held:
            self._gap_at = held[min(held)][2]

    def _give_up(self) -> None:
        """The gap in front stays one: conceal it, go on behind it."""
        first = min(self._held)
        for number in range(max(self._next, first - REMEMBERED), first):
            self._given_up[number] = self._gap_at
        while len(self._given_up) > REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        self.lost += first - self._next
        ts, ulaw, came = self._held.pop(first)
        self._next = first + 1
        if ulaw:
            self._audio(ts, ulaw, came, lost=True)
        self._release()
