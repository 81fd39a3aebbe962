"""Room for decoded sound: a small upload may be hours of it, so what is decoded at once is counted
while it grows, whoever sent it.

One owner has at most half of it. Counted in the threads that decode (`audio/files.py`); a share
lasts as long as its request (`api/voice/turns.py`).
"""

from __future__ import annotations

import threading
from collections import Counter

from telebot.call.errors import ApiError

SHARES = 2  # an owner has one of them
AGAIN_S = 10.0


class SoundRoom:
    """Of `most` bytes. One recording alone always has room. Belongs to all threads."""

    def __init__(self, most_bytes: int) -> None:
        self.most = most_bytes
        self._of_owner: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def held(self) -> int:
        with self._lock:
            return self._of_owner.total()

    def share(self, owner: str) -> Share:
        """Of one request; empty at first."""
        return Share(self, owner)

    def grown(self, owner: str, size: int, held: int) -> bool:
        """Whether there is room for `size` bytes more of a share that has `held`; they are taken
        then."""
        with self._lock:
            mine, all_of_it = self._of_owner[owner], self._of_owner.total()
            full = all_of_it > held and all_of_it + size > self.most
            if full or (mine > held and mine + size > self.most // SHARES):
                return False
            self._of_owner[owner] += size
            return True

    def returned(self, owner: str, size: int) -> None:
        with self._lock:
            self._of_owner[owner] -= size
            if not self._of_owner[owner]:
                del self._of_owner[owner]


class Share:
    """What one request has decoded. `leave` it."""

    def __init__(self, room: SoundRoom, owner: str) -> None:
        self._room = room
        self._owner = owner
        self._held = 0
        self._over = False
        self._lock = threading.Lock()

    def grow(self, size: int) -> None:
        """Take so many bytes more. Raises `ApiError` (503) where there is no room, or nobody waits
        for them any longer."""
        with self._lock:
            if self._over or not self._room.grown(self._owner, size, self._held):
                raise ApiError(
                    503,
                    "busy",
                    "No room for another recording of this length now; try again later.",
                    retry_after_s=AGAIN_S,
                )
            self._held += size

    def leave(self) -> None:
        """The request is over. Idempotent."""
        with self._lock:
            self._over = True
            self._room.returned(self._owner, self._held)
            self._held = 0
