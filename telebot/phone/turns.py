"""What was said and heard in a call, and how long it took: turns, measured in samples.

Pure functions of a stream's positions (8 kHz samples of the call's own clock); `phone.py` asks
while the call is up, `report.py` when it is over.
"""

from __future__ import annotations

from dataclasses import dataclass

from telebot.audio.g711 import RATE_HZ
from telebot.phone.playout import Span
from telebot.phone.stream import CarrierStream

JUST_SPOKE = RATE_HZ // 5  # 200 ms: a pause between two words of the bot
LONGEST_PIECE = 8 * RATE_HZ  # recognisers are at their best below this
PIECE_GAP = RATE_HZ * 30 // 100  # a pause between two sentences
MARGIN = RATE_HZ // 10


@dataclass(slots=True)
class Turn:
    """One item of the caller (None in `said` for the greeting and for silence) and the reply.

    `kind` is ``greeting``, ``say``, ``wav``, ``dtmf`` or ``wait``; `caller` where the words lie,
    `origin` the position from which a reply counts (the caller's last speech frame)."""

    kind: str
    said: str | None
    origin: int
    caller: Span | None = None
    over_bot: bool = False  # the caller began while the bot was speaking
    until: int | None = None  # where the reply gave way to the next turn
    heard: str = ""
    reply: Span | None = None  # first bot frame played to last audible one
    audible_at: int | None = None
    clear_at: int | None = None  # where the bot gave way: cleared, and did not go on
    bot_interrupted: bool = False  # the bot began while the caller was still speaking
    answered: bool = False

    @property
    def latency_ms(self) -> float | None:
        """Caller's last speech frame to the first bot frame played; None for a bot that went on,
        or that did not wait for the end."""
        if self.reply is None or self.bot_interrupted:
            return None
        return (self.reply.start - self.origin) / 8

    @property
    def audible_ms(self) -> float | None:
        """The same to the first frame that can be heard."""
        if self.audible_at is None or self.bot_interrupted:
            return None
        return (self.audible_at - self.origin) / 8

    @property
    def went_on(self) -> bool:
        """The caller spoke over the bot and it did not give way: no reply of its own."""
        return self.over_bot and self.clear_at is None

    @property
    def interrupted_by(self) -> str | None:
        if self.over_bot and self.clear_at is not None:
            return "caller"
        return "bot" if self.bot_interrupted else None


def speaking(stream: CarrierStream) -> bool:
    """The bot is in the middle of saying something at this moment."""
    voice = stream.playout.voice
    if not voice:
        return False
    return stream.playout.buffered > 0 or stream.position - voice[-1].end < JUST_SPOKE


def first_voice(stream: CarrierStream, since: int) -> int | None:
    """Position of the first audible bot sample from `since` on."""
    for span in stream.playout.voice:
        if span.end > since:
            return max(span.start, since)
    return None


def quiet_for(stream: CarrierStream) -> int:
    """Samples since the bot was last heard; 0 while something waits to be played."""
    if stream.playout.buffered or not stream.playout.voice:
        return 0
    return stream.position - stream.playout.voice[-1].end


def measure(stream: CarrierStream, turn: Turn) -> None:
    """Fill in what the stream knows of a turn by now."""
    if turn.caller and turn.over_bot:
        turn.clear_at = _clear(stream, turn.caller.start, turn.until)
        turn.origin = max(turn.caller.end, turn.clear_at or 0)
    if turn.caller and not turn.over_bot:
        turn.bot_interrupted = any(
            turn.caller.start < span.start < turn.caller.end for span in stream.playout.voice
        )
    turn.audible_at = first_voice(stream, turn.origin)
    if turn.audible_at is not None and turn.until is not None and turn.audible_at >= turn.until:
        turn.audible_at = None
    turn.answered = turn.audible_at is not None or turn.bot_interrupted
    if turn.audible_at is None or turn.went_on:
        turn.reply = turn.audible_at = None
        return
    turn.reply = Span(_frame_of(stream, turn.audible_at, turn.origin), _last(stream, turn.until))


def reply_range(turn: Turn, stream: CarrierStream) -> Span:
    """Where the bot's words of a turn lie in the call."""
    start = turn.origin
    if turn.bot_interrupted and turn.caller:
        start = turn.caller.start
    return Span(start, stream.position if turn.until is None else turn.until)


def pieces(stream: CarrierStream, span: Span) -> list[Span]:
    """The bot's voice in `span`, cut at pauses into pieces short enough to be recognised."""
    found: list[Span] = []
    for voice in stream.playout.voice:
        start, end = max(voice.start, span.start), min(voice.end, span.end)
        if start >= end:
            continue
        last = found[-1] if found else None
        if last and start - last.end < PIECE_GAP and end - last.start < LONGEST_PIECE:
            last.end = end
        else:
            found.append(Span(start, end))
    return [
        Span(max(span.start, one.start - MARGIN), min(span.end, one.end + MARGIN)) for one in found
    ]


def _clear(stream: CarrierStream, since: int, until: int | None) -> int | None:
    """The clear after which the bot did not go on with what it had been saying."""
    cleared: int | None = None
    for happening in stream.happenings:
        if happening.position < since:
            continue
        if until is not None and happening.position > until:
            break
        if happening.name == "clear" and cleared is None:
            cleared = happening.position
        elif happening.name == "resumed":
            cleared = None
    return cleared


def _frame_of(stream: CarrierStream, audible_at: int, origin: int) -> int:
    """Where the audio that contains `audible_at` began, if that was after `origin`."""
    for span in stream.playout.audio:
        if span.start <= audible_at < span.end and span.start >= origin:
            return span.start
    return audible_at


def _last(stream: CarrierStream, until: int | None) -> int:
    ends = [span.end for span in stream.playout.voice if until is None or span.start < until]
    return min(ends[-1], until) if until is not None else ends[-1]
