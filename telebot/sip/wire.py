"""What stands between the RTP stream of a SIP call and its conversation.

`live.py` makes one of each for a call: audio passes through without a step of its own.
"""

from __future__ import annotations

from collections.abc import Callable

from telebot.audio.line import PHONE
from telebot.call.events import MediaSink
from telebot.sip.rtp import RtpStream


class Wire:
    """The RTP stream as the conversation's `MediaWire`: closing it hangs up."""

    lead_ms: int | None = RtpStream.lead_ms
    piece_ms: int | None = None
    echoes_marks = RtpStream.echoes_marks
    held = False  # by the peer: nobody hears us
    line = PHONE

    def __init__(self, stream: RtpStream, hang_up: Callable[[], None]) -> None:
        self.send_audio = stream.send_audio
        self.send_mark = stream.send_mark
        self.send_clear = stream.send_clear
        self._hang_up = hang_up

    def mute(self) -> None:
        """Nothing is sent any more."""
        self.send_audio, self.send_mark, self.send_clear = _no_audio, _no_mark, _nothing

    async def close(self) -> None:
        """Hang up; the call's own task does the rest."""
        self._hang_up()


def _no_audio(ulaw: bytes) -> None:
    pass


def _no_mark(name: str) -> None:
    pass


def _nothing() -> None:
    pass


class Ears:
    """The conversation's sink, with plugs in while the peer holds the call: what comes then is its
    music, not the caller."""

    def __init__(self, sink: MediaSink) -> None:
        self._sink = sink
        self.audio, self.digit = sink.audio, sink.digit
        self.played, self.ended = sink.played, sink.ended

    def hold(self, held: bool) -> None:
        """Put them in, or take them out."""
        self.audio = self._unheard if held else self._sink.audio

    async def _unheard(self, ulaw: bytes, timestamp_ms: int) -> None:
        pass
