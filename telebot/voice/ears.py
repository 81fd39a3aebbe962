"""What follows the sound of a voice on its way through: how much has come, and whether there is
anything in it that can be heard. Next: `speaking.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from telebot.audio.levels import level_dbfs
from telebot.audio.mp3 import Mp3Ear

AUDIBLE_DBFS = -60.0


class Ear(Protocol):
    """Of one stream."""

    rate_hz: int
    audible: bool
    """Whether a sound has come that can be heard."""

    @property
    def seconds(self) -> float:
        """How much has come."""
        ...

    def feed(self, data: bytes) -> None:
        """The next piece. Raises ValueError where it is not what it should be."""
        ...


class PcmEar:
    """Of int16 at `rate_hz`."""

    def __init__(self, rate_hz: int) -> None:
        self.rate_hz = rate_hz
        self.audible = False
        self._bytes = 0

    @property
    def seconds(self) -> float:
        return self._bytes / 2 / self.rate_hz

    def feed(self, data: bytes) -> None:
        self._bytes += len(data)
        step = self.rate_hz // 10 * 2  # 0.1 s; a piece may be seconds
        for at in range(0, 0 if self.audible else len(data), step):
            if level_dbfs(data[at : at + step]) > AUDIBLE_DBFS:
                self.audible = True
                return


# of the files that are passed on as they come
EARS: Mapping[str, Callable[[], Ear]] = {"mp3": lambda: Mp3Ear(AUDIBLE_DBFS)}
