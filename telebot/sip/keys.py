"""Keys of the telephone as events in RTP (RFC 4733 section 2): read, and written. No I/O.

An event is one key press: several packets with the timestamp of its beginning and a growing
duration, the last one sent three times. A key counts when its first packet comes, so that neither
a lost end nor a repeated one matters.
"""

from __future__ import annotations

import struct
from collections import deque

KEYS = "0123456789*#ABCD"  # by event code (RFC 4733 table 3)
EVENT = struct.Struct("!BBH")
END = 0x80
VOLUME = 10  # -dBm0
LONGEST = 0xFFFF  # duration from which an event goes on under a later timestamp
SAME_S = 0.06  # some count the timestamp on within one key press; packets so close are one
MASK, HALF = 0xFFFFFFFF, 0x80000000
PRESS, PAUSE = 1280, 640  # samples: 160 and 80 ms
LONG_PAUSE = 4000
WAIT = -1
ENDS = 3


class KeysIn:
    """Tells new keys from packets of one that is pressed already."""

    def __init__(self) -> None:
        self._code = -1
        self._ts = 0
        self._duration = 0
        self._ended = True
        self._at = 0.0
        self.junk = 0

    def packet(self, ts: int, marker: bool, payload: bytes, now: float) -> str:
        """The key that begins with this packet, or ''."""
        if len(payload) < EVENT.size:
            self.junk += 1
            return ""
        code, flags, duration = EVENT.unpack_from(payload)
        if code >= len(KEYS):  # a flash, a fax tone
            self.junk += 1
            return ""
        ended = bool(flags & END)
        if self._same(code, ts, marker, duration, now):
            self._ended = self._ended or ended
            self._duration = max(self._duration, duration)
            self._at = now
            return ""
        if self._code >= 0 and (ts - self._ts & MASK) >= HALF:
            return ""  # late, of the key before
        self._code, self._ts, self._ended = code, ts, ended
        self._duration, self._at = duration, now
        return KEYS[code]

    def new_source(self) -> None:
        """Timestamps begin anew."""
        self._code = -1

    def _same(self, code: int, ts: int, marker: bool, duration: int, now: float) -> bool:
        if code != self._code:
            return False
        if ts == self._ts:
            return True
        if marker or self._ended:
            return False
        longer = ts == (self._ts + LONGEST & MASK)  # RFC 4733 section 2.5.1.3
        if longer:
            self._ts, self._duration = ts, 0
        return longer or (duration > self._duration and now - self._at < SAME_S)


class KeysOut:
    """Keys to be pressed one after another; asked for its packets whenever audio would be due."""

    def __init__(self) -> None:
        self._waiting: deque[int] = deque()  # event codes
        self._code = -1  # the one that is pressed
        self._duration = 0
        self._pause = 0

    def __bool__(self) -> bool:
        return bool(self._waiting) or self._code >= 0 or self._pause > 0

    def press(self, keys: str) -> None:
        """Keys, and ``w`` for a pause of half a second. Raises ValueError for anything else; then
        none is pressed."""
        self._waiting += [WAIT if key == "W" else KEYS.index(key) for key in keys.upper()]

    def step(self, samples: int) -> tuple[bytes, bool, int]:
        """`samples` more of the key's time: the payload to be sent, whether it begins the event,
        how often it is to be sent. Nothing in the pause after a key."""
        if self._pause > 0:
            self._pause -= samples
            return b"", False, 0
        begins = self._code < 0
        if begins and self._waiting[0] == WAIT:
            self._waiting.popleft()
            self._pause = LONG_PAUSE - samples
            return b"", False, 0
        if begins:
            self._code, self._duration = self._waiting.popleft(), 0
        self._duration += samples
        code = self._code
        if self._duration < PRESS:
            return EVENT.pack(code, VOLUME, self._duration), begins, 1
        self._code, self._pause = -1, PAUSE
        return EVENT.pack(code, END | VOLUME, self._duration), begins, ENDS
