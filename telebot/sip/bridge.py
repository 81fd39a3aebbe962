"""Two legs that hear each other, their audio relayed here; the bot is out.

Belongs to `live.py:LiveCall`, whose call it is until either side hangs up.
"""

from __future__ import annotations

from telebot.audio import levels
from telebot.sip.rtp import RtpStream

BEHIND_MS = 60  # audio of one side that waits for the other's clock: from here silence is left out
LATE_MS = 200  # from here anything is
QUIET_RMS = 100  # -50 dBFS


class Relay:
    """What one side says goes to the other (a `MediaSink`)."""

    def __init__(self, to: RtpStream) -> None:
        self._to = to
        self.left_out_ms = 0

    async def audio(self, ulaw: bytes, timestamp_ms: int) -> None:
        """Clocks of two sides run apart: what gathers is cut, silence first."""
        waiting_ms = self._to.waiting_ms
        if waiting_ms > LATE_MS or (waiting_ms > BEHIND_MS and levels.ulaw_rms(ulaw) <= QUIET_RMS):
            self.left_out_ms += len(ulaw) // 8
            return
        self._to.send_audio(ulaw)

    async def digit(self, digit: str) -> None:
        """Keys go as keys."""
        self._to.send_digits(digit)

    async def played(self, mark: str) -> None:
        """The bot's, who is out."""

    async def ended(self, reason: str) -> None:
        """Nothing of its own."""


def connect(one: RtpStream, other: RtpStream) -> None:
    """Let both hear each other from now on."""
    for stream in (one, other):
        stream.send_clear()
    one.begin(Relay(other))
    other.begin(Relay(one))
