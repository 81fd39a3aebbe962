"""What stands in for the caller's line while nothing is sent over it: noise (RFC 3389).

The detector's clock is the audio it gets, so a line that goes quiet has to go on.
"""

from __future__ import annotations

from functools import lru_cache

from aiortp.cn import DEFAULT_CN_LEVEL, NoiseGenerator, parse_cn_payload

from telebot.audio import g711

LOUDEST = 30  # -dBov; louder is no background
QUIETEST = 78  # below is mu-law's zero


class Noise:
    """Noise of one line, at `level` (-dBov) until told otherwise."""

    def __init__(self, level: int = DEFAULT_CN_LEVEL) -> None:
        self._level = level
        self._at = 0

    def described(self, payload: bytes) -> None:
        """A comfort noise packet says how loud the line's noise is."""
        self._level = max(LOUDEST, parse_cn_payload(payload))

    def __call__(self, samples: int) -> bytes:
        """The next `samples` of it, at most a second, mu-law."""
        if self._level > QUIETEST:
            return g711.SILENCE * samples
        second = _second(self._level)
        self._at = (self._at + samples) % (len(second) // 2)
        return (second[self._at :] + second)[:samples]


@lru_cache(maxsize=QUIETEST)
def _second(level: int) -> bytes:
    """Made once for each level: aiortp's noise costs 2 ms a second."""
    return g711.encode(NoiseGenerator(level).generate(g711.RATE_HZ))
