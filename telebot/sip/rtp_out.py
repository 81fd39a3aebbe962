"""What the bot says: audio of any length in, RTP packets of the agreed length out. No I/O.

The beat asks for a packet when one is due; its timestamp is the beat's, so it follows the clock
whatever was sent or left out. In silence either silence is sent, or nothing but a packet now and
then. Keys and marks stand in the same row as audio.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable

from telebot.audio import g711
from telebot.audio.dtmf_tones import tones
from telebot.audio.g711 import BYTES_PER_MS, RATE_HZ
from telebot.sip.beats import BEAT_SAMPLES
from telebot.sip.keys import KeysOut

HEADER = struct.Struct("!BBHII")
MARKER = 0x80
MASK = 0xFFFFFFFF
MOST_QUEUED = 10 * RATE_HZ  # a voice that runs ahead of the beat by more is cut
SILENCE_A = b"\xd5"  # A-law zero
PAUSE = g711.SILENCE * 4000


class RtpOut:
    """One call's way out. `first_seq` and `first_ts` are random (RFC 3550 section 5.1)."""

    def __init__(self, ssrc: int, first_seq: int, first_ts: int, keepalive_s: float = 0.0) -> None:
        """`keepalive_s` 0 sends silence in packets like speech."""
        self.ssrc = ssrc
        self._seq = first_seq
        self._first_ts = first_ts
        self.keepalive_s = keepalive_s
        self._audio = bytearray()
        self._queued = self._taken = 0  # bytes of audio since the call began
        self._marks: deque[tuple[int, str]] = deque()
        self._keys = KeysOut()
        self._key_ts = 0
        self._next_ts = -1  # of a packet that follows the last one without a gap
        self._silent_until = 0.0
        self._type = 0
        self._alaw: bytes | None = None
        self._samples = 20 * BYTES_PER_MS
        self._quiet = g711.SILENCE * self._samples
        self._events: int | None = None
        self.packets = self.octets = 0
        self.cut = 0  # bytes

    def use(self, payload_type: int, alaw: bytes | None, ptime_ms: int, events: int | None) -> None:
        """What was agreed; `alaw` is the table from mu-law where the codec is A-law."""
        self._type, self._alaw, self._events = payload_type, alaw, events
        self._samples = ptime_ms * BYTES_PER_MS
        quiet = SILENCE_A if alaw else g711.SILENCE
        self._quiet = quiet * self._samples

    @property
    def waiting(self) -> int:
        """Samples of audio that are not sent yet."""
        return len(self._audio)

    def press(self, keys: str) -> None:
        """Press these keys (``w``: half a second's pause): as events, audio waits meanwhile; as
        tones where the peer takes none. Raises ValueError for what is no key."""
        if self._events is not None:
            self._keys.press(keys)
        else:
            self.audio(b"".join(PAUSE if key == "W" else tones(key) for key in keys.upper()))

    def audio(self, ulaw: bytes) -> None:
        self._audio += ulaw
        self._queued += len(ulaw)
        if len(self._audio) > MOST_QUEUED:
            over = len(self._audio) - MOST_QUEUED
            del self._audio[:over]
            self._taken += over
            self.cut += over

    def mark(self, name: str) -> None:
        self._marks.append((self._queued, name))

    def clear(self) -> None:
        self._audio.clear()
        self._taken = self._queued

    def passed(self, say: Callable[[str], None]) -> None:
        """Say which marks were reached: all before them was sent, and is played by now."""
        while self._marks and self._marks[0][0] <= self._taken:
            say(self._marks.popleft()[1])

    def timestamp(self, number: int) -> int:
        """The timestamp of what is sent at a beat."""
        return self._first_ts + number * BEAT_SAMPLES & MASK

    def skip(self) -> None:
        """Nothing may be sent now (the call is held): time passes all the same."""
        self._take()
        if self._keys:
            self._keys.step(self._samples)

    def beat(self, number: int, now: float, send: Callable[[bytes], None]) -> None:
        """A packet is due: send it, if there is one. The hot path (50 a second)."""
        ts = self._first_ts + number * BEAT_SAMPLES & MASK  # `timestamp`
        if self._keys:
            self._press(ts, send)
            return
        if self._audio:
            payload = self._take()
        elif now < self._silent_until:
            return
        else:
            payload = self._quiet
            self._silent_until = now + self.keepalive_s
        self._send(self._type, ts != self._next_ts, ts, payload, send)
        self._next_ts = ts + self._samples & MASK

    def _take(self) -> bytes:
        """The next packet's audio, filled up with silence."""
        samples, audio = self._samples, self._audio
        payload = bytes(audio[:samples])
        del audio[:samples]
        self._taken += len(payload)
        if len(payload) < samples:
            payload += g711.SILENCE * (samples - len(payload))
        return payload.translate(self._alaw) if self._alaw else payload

    def _press(self, ts: int, send: Callable[[bytes], None]) -> None:
        payload, begins, times = self._keys.step(self._samples)
        if begins:
            self._key_ts = ts
        for time in range(times):
            self._send(self._events or 0, begins and time == 0, self._key_ts, payload, send)

    def _send(
        self, kind: int, marker: bool, ts: int, payload: bytes, send: Callable[[bytes], None]
    ) -> None:
        second = kind | MARKER if marker else kind
        send(HEADER.pack(0x80, second, self._seq, ts, self.ssrc) + payload)
        self._seq = self._seq + 1 & 0xFFFF
        self.packets += 1
        self.octets += len(payload)
