"""The carrier's side of a wire that takes nothing back: the bot's audio is played as it comes.

Where the bot falls silent for longer than a pause inside what it says, that is noted as its clear,
so that an interruption can be told from a bot that talks on (`turns.py`).
"""

from __future__ import annotations

from telebot.audio.g711 import RATE_HZ
from telebot.phone.resumption import KEPT, Resumption
from telebot.phone.stream import CarrierStream, Happening

FELL_SILENT = RATE_HZ * 7 // 10
EARLY = RATE_HZ * 4 // 10  # a telephone's own buffer holds no more


class PacedStream(CarrierStream):
    """A `CarrierStream` without marks and clears."""

    _noted = 0  # where the last silence began that was noted

    def advance(self, now_s: float) -> list[str | bytes]:
        out = super().advance(now_s)
        voice = self.playout.voice
        if voice and not self.playout.buffered and self._keep:
            fell = voice[-1].end
            if self.position - fell > FELL_SILENT and fell != self._noted:
                self._noted = fell
                self.happenings.append(Happening(fell, "clear"))
                before = self.playout.heard(max(0, fell - KEPT), fell)
                self._resumption = Resumption(before, b"")
        return out

    def play_now(self, ulaw: bytes) -> None:
        """What came is played; audio that comes too early is a fault."""
        if self.playout.buffered > EARLY:
            self.fault("audio that is not sent in time")
        self.play(ulaw)
