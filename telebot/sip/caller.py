"""The caller's side of one call: packets of every kind in, audio and keys out to the call.

`rtp.py` has found out that a packet is this call's. Audio goes to `rtp_in.py`; keys come as events
(`keys.py`), or where the peer has none of these, as tones; a line that goes quiet is bridged with
noise, since the detector's clock is the audio it gets.
"""

from __future__ import annotations

from collections.abc import Callable

from telebot.audio import g711
from telebot.audio.dtmf_tones import ToneKeys
from telebot.sip.beats import Beats
from telebot.sip.keys import KeysIn
from telebot.sip.noise import Noise
from telebot.sip.rtp_in import RtpIn
from telebot.sip.sdp import Negotiated

COMFORT_NOISE = 13  # payload type (RFC 3389)
QUIET_S = 0.2  # a line that says nothing for so long is quiet, not late
NOISE_LAG_S = 0.04  # after a packet that says so
BRIDGED_S = 3.0  # by then the detector has noticed
BRIDGE_BEATS = 2
KEY, MARK = -1, -2  # in the place of a time: what is said is no audio
ULAW, ALAW, EVENT, NOISE = range(4)

Say = Callable[[bytes | str, int], None]  # audio and its time in ms, or a key and `KEY`
Clock = Callable[[], float]


def _to_nobody(what: bytes | str, at_ms: int) -> None:
    pass


class Caller:
    """`say` gets what the caller says and keys, in order."""

    def __init__(self, say: Say, beats: Beats, clock: Clock) -> None:
        self._say = say
        self._beats = beats
        self._clock = clock
        self.incoming = RtpIn(say)
        self._keys = KeysIn()
        self._tones: ToneKeys | None = None
        self._noise = Noise()
        self._lag_s = QUIET_S
        self._quiet_since = -1.0  # `_bridge` is called since nothing came after then
        self._gap = False  # `_wait` is called
        self._away = False
        self._kinds: dict[int, int] = {}
        self.ssrc = -1

    def use(self, negotiated: Negotiated) -> None:
        """What the peer may send from now on. Where we may not answer it, the caller is away (on
        hold), and what is heard instead, music mostly, is not for the call."""
        self._kinds = {COMFORT_NOISE: NOISE}
        self._kinds |= dict.fromkeys(negotiated.events_in, EVENT)
        for codec in negotiated.accepts:
            self._kinds[codec.payload_type] = ULAW if codec.name == "PCMU" else ALAW
        self._tones = None if negotiated.events_in else self._tones or ToneKeys()
        self.incoming.deliver = self._say if self._tones is None else self._heard
        self._away = not (negotiated.direction.sends and negotiated.direction.receives)

    def knows(self, payload_type: int) -> bool:
        return payload_type in self._kinds

    def packet(self, second: int, seq: int, ts: int, body: bytes) -> None:
        """One packet; `second` is the second byte of its header. The hot path."""
        now, incoming = self._clock(), self.incoming
        kind = self._kinds[second & 0x7F]
        if self._away and kind != EVENT:
            incoming.packet(seq, ts, b"", now)
        elif kind == ULAW:
            incoming.packet(seq, ts, body, now)
        elif kind == ALAW:
            incoming.packet(seq, ts, body.translate(g711.ALAW_TO_ULAW), now)
        else:
            incoming.packet(seq, ts, b"", now)
            self._no_audio(kind, second >= 0x80, ts, body)
        if incoming.waiting and not self._gap:
            self._gap = True
            self._beats.join(1, self._wait)

    def new_source(self, ssrc: int) -> None:
        """What comes now counts anew."""
        self.ssrc = ssrc
        self.incoming.new_source()
        self._keys.new_source()

    def watch(self, now: float) -> None:
        """Ten times a second."""
        self.incoming.forget()
        if QUIET_S < now - self.incoming.heard_at < BRIDGED_S and not self._away:
            self._begin_bridge(QUIET_S)

    def close(self) -> None:
        """Say nothing any more."""
        self._beats.leave(self._wait)
        self._beats.leave(self._bridge)
        self._say = self.incoming.deliver = _to_nobody

    def _no_audio(self, kind: int, marker: bool, ts: int, body: bytes) -> None:
        if kind == NOISE:
            self._noise.described(body)
            self._begin_bridge(NOISE_LAG_S)
        elif key := self._keys.packet(ts, marker, body, self._clock()):
            self._say(key, KEY)

    def _heard(self, ulaw: bytes, at_ms: int) -> None:
        self._say(ulaw, at_ms)
        if self._tones is not None:
            for key in self._tones.feed(ulaw):
                self._say(key, KEY)

    def _wait(self, number: int, now: float) -> None:
        """A gap is open: each beat, until it is closed or given up."""
        self.incoming.tick(self._clock())
        if not self.incoming.waiting:
            self._gap = False
            self._beats.leave(self._wait)

    def _begin_bridge(self, lag_s: float) -> None:
        if self._quiet_since < 0:
            self._quiet_since, self._lag_s = self.incoming.heard_at, lag_s
            self._beats.join(BRIDGE_BEATS, self._bridge)

    def _bridge(self, number: int, now: float) -> None:
        """The line is quiet: noise in its place, until audio comes or it was for long enough."""
        now, heard_at = self._clock(), self.incoming.heard_at
        if heard_at != self._quiet_since or now - heard_at > BRIDGED_S or self._away:
            self._quiet_since = -1.0
            self._beats.leave(self._bridge)
        else:
            self.incoming.fill(now, self._lag_s, self._noise)
