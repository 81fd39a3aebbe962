"""What a direct session leaves in the records: a call's states, events, turns, uses, and its
recording."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from telebot.audio.line import PHONE, TICKS_PER_S, ULAW, Form, Line
from telebot.audio.wideband import Converted, Narrow
from telebot.call.model import Call, State, Turn, TurnLatency, Usage, WireEvent
from telebot.call.ports import CallLog, Clock, Recording, WallClock
from telebot.providers.direct import Used
from telebot.speech.audience import Audience
from telebot.speech.budget import Budget
from telebot.speech.chains import Plan
from telebot.speech.direct_reply import DirectReply

JUMP_S = 0.3  # audio that is this far from where it should be: nothing was sent in between


@dataclass(frozen=True, slots=True)
class DirectOutside:
    """What a direct session asks of the rest of the house; `send` takes PCM at `rate_hz`."""

    call: Call
    log: CallLog
    audience: Audience
    clock: Clock
    now: WallClock
    rate_hz: int
    send: Callable[[bytes], None]
    clear: Callable[[], None]
    end: Callable[[str], None]  # the session is over, for a termination reason
    start_recording: Callable[[], Recording | None] = lambda: None
    budget: Budget | None = None
    line: Line = PHONE  # in whose forms it is recorded


@dataclass(slots=True)
class DirectRecord:
    """One session's."""

    outside: DirectOutside
    began: float | None = None
    recording: Recording | None = None
    _in: Narrow | Converted = field(init=False)
    _out: Narrow | Converted = field(init=False)
    _recorded: int = 0

    def __post_init__(self) -> None:
        rate_hz, line = self.outside.rate_hz, self.outside.line
        self._in = _to(rate_hz, line.hears)
        self._out = _to(rate_hz, line.says)

    def begin(self) -> None:
        """Its time is counted from now."""
        self.began = self.outside.clock()
        self.recording = self.outside.start_recording()

    def close(self) -> None:
        """The recording has all that was said."""
        if self.recording is not None:
            self.recording.close()

    def state(self, state: State) -> None:
        """Where the call is."""
        call = self.outside.call
        if call.state is not state and call.termination is None:
            call.state = state
            self.outside.log.state(call)

    def event(self, name: str, **fields: object) -> None:
        """Something that happened."""
        offset = self.offset(self.outside.clock())
        event = WireEvent(self.outside.now(), offset, name, fields)
        self.outside.log.event(self.outside.call, event)

    def used(self, plan: Plan, used: Used) -> None:
        """Something that is billed; by a key of the client's own it costs the house nothing."""
        name, own = used.provider or plan.name, plan.own_key
        usage = Usage(used.kind, name, used.quantity, used.unit, own)
        self.outside.log.used(self.outside.call, usage)
        if self.outside.budget is not None and not own:
            self.outside.budget.used(used.kind, name, used.quantity, used.unit)

    def turn(
        self, reply: DirectReply, caller: str | None, heard: str, stopped_at: float | None
    ) -> None:
        """A turn is final. `stopped_at`: when the client had said it; None: it did not speak."""
        heard_ms = None
        if stopped_at and reply.began_at is not None:
            heard_ms = round(max(0.0, reply.began_at - stopped_at) * 1000, 1)
        turn = Turn(
            index=reply.index,
            started_at=reply.created_at,
            caller_text=caller,
            bot_text=reply.text.strip(),
            bot_text_heard=heard.strip(),
            interrupted=reply.interrupted,
            providers=dict.fromkeys(("stt", "llm", "tts"), reply.provider),
            latency_ms=TurnLatency(heard=heard_ms),
            bot_offset_s=None if reply.began_at is None else self.offset(reply.began_at),
        )
        self.outside.log.turn(self.outside.call, turn)

    def offset(self, at: float) -> float | None:
        """Seconds since it began."""
        return None if self.began is None else round(max(0.0, at - self.began), 3)

    def caller(self, pcm16: bytes) -> None:
        """The client's audio, as it comes."""
        recording = self.recording
        if recording is None or self.began is None:
            return
        audio = self._in.feed(pcm16)
        ticks = self.outside.line.hears.ticks(audio)
        at = round((self.outside.clock() - self.began) * TICKS_PER_S) - ticks
        if abs(at - self._recorded) > JUMP_S * TICKS_PER_S:
            self._recorded = max(0, at)
        recording.caller(audio, self._recorded)
        self._recorded += ticks

    def bot(self, pcm16: bytes, played_at: float) -> None:
        """The vendor's audio, as it is played."""
        if self.recording is not None and self.began is not None:
            at = max(0, round((played_at - self.began) * TICKS_PER_S))
            self.recording.bot(self._out.feed(pcm16), at)


def _to(rate_hz: int, form: Form) -> Narrow | Converted:
    """From the client's rate to that of the record's line."""
    return Narrow(rate_hz) if form is ULAW else Converted(rate_hz, form.rate_hz, form.bytes_a_tick)
