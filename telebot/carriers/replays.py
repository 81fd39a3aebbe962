"""Webhooks that were here before: what is signed once is believed once.

A signature proves who wrote a request, not that it comes for the first time. Where the signature
holds a time, what is older than `life_s` is refused by that, and this remembers the rest.
"""

from __future__ import annotations

import time
from collections import OrderedDict

from telebot.call.ports import Clock

MOST = 20_000  # remembered at once; beyond, the oldest is forgotten


class Replays:
    """The signatures of the last `life_s` seconds, in this process."""

    def __init__(self, life_s: float, clock: Clock = time.monotonic) -> None:
        self._life_s = life_s
        self._clock = clock
        self._seen: OrderedDict[str, float] = OrderedDict()

    def first(self, signature: str) -> bool:
        """True where this one was not seen before."""
        now = self._clock()
        while self._seen and (
            len(self._seen) > MOST or next(iter(self._seen.values())) < now - self._life_s
        ):
            self._seen.popitem(last=False)
        if signature in self._seen:
            return False
        self._seen[signature] = now
        return True
