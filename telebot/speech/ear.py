"""The caller's side of a call: audio in, to the detector, the recording and the recogniser.

The hot path: `audio` runs fifty times a second for every call. Also here: where in the carrier's
stream a moment of our clock lies, and the audio of the turn for the turn model.
"""

from __future__ import annotations

from telebot.audio.line import TICKS_PER_MS, TICKS_PER_S, ULAW, Form
from telebot.call.ports import Clock, Recording
from telebot.speech.transport import PhoneInput
from telebot.speech.vad import CallVad

LEAK = 1e-4  # how fast the stream clock forgets its best frame (against clock drift)
JUMP_S = 5.0  # a timestamp this far from where the stream should be is not believed
ENOUGH = 50  # frames that agree are a clock
TURN_AUDIO = 8 * TICKS_PER_S  # what the turn model hears
TURN_PREROLL = TICKS_PER_S // 2


class StreamClock:
    """Maps our clock to the carrier's stream clock by the least delayed frames."""

    def __init__(self) -> None:
        self._base: float | None = None
        self.runs = False  # by itself: frames may be missing
        self._believed = 0  # frames whose timestamps agree with the first
        self._doubted = 0  # frames in a row that do not

    def begin(self, now: float) -> None:
        """The stream's time begins now, whether a frame comes or not."""
        self._base = now
        self.runs = True

    def observe(self, now: float, timestamp_ms: int, samples: int) -> int:
        """A frame of so many ticks came; returns the tick of the stream at which it begins."""
        begins = timestamp_ms * TICKS_PER_MS
        offset = now - (begins + samples) / TICKS_PER_S
        base = self._base
        if base is None:
            self._base = offset
        elif abs(offset - base) > JUMP_S:
            self._doubted += 1
            if self._believed < ENOUGH and self._doubted >= ENOUGH:
                self._base, self._doubted = offset, 0  # these are right, the first was not
            else:
                begins = max(0, self.sample_at(now) - samples)
        else:
            self._believed += 1
            self._doubted = 0
            self._base = offset if offset < base else base + LEAK * (offset - base)
        return begins

    def sample_at(self, now: float) -> int:
        """Ticks since the stream's start; 0 before the first frame."""
        return 0 if self._base is None else max(0, int((now - self._base) * TICKS_PER_S))

    def ms_at(self, now: float) -> float:
        return self.sample_at(now) / TICKS_PER_MS


class Ear:
    """Hears the caller, whose audio comes in `form`. `vad` and `phone_input` are this call's
    own."""

    def __init__(
        self,
        clock: Clock,
        recording: Recording | None,
        keep_turn_audio: bool,
        form: Form = ULAW,
    ) -> None:
        self.form = form
        self._tick = form.bytes_a_tick
        self._kept_bytes = 2 * TURN_AUDIO * form.bytes_a_tick
        self._clock = clock
        self._recording = recording
        self._keep = keep_turn_audio
        self._turn_audio = bytearray()
        self._ahead = 0  # stream sample of the detector's first sample
        self.stream = StreamClock()
        self.vad: CallVad | None = None
        self.phone_input: PhoneInput | None = None
        self.last_frame_end_ms = 0.0

    async def audio(self, audio: bytes, timestamp_ms: int) -> None:
        """One media message. The detector comes first, so that a slow recogniser never delays
        a barge-in."""
        ticks = len(audio) // self._tick
        begins = self.stream.observe(self._clock(), timestamp_ms, ticks)
        self.last_frame_end_ms = (begins + ticks) / TICKS_PER_MS
        if self.vad is not None:
            self.vad.feed(audio)
            self._ahead = begins + ticks - self.vad.fed
        if self._recording is not None:
            self._recording.caller(audio, begins)
        if self._keep:
            self._turn_audio += audio
            if len(self._turn_audio) > self._kept_bytes:  # in large steps: shifting costs
                del self._turn_audio[: -TURN_AUDIO * self._tick]
        if self.phone_input is not None:
            await self.phone_input.hear(audio)

    def reached_ms(self) -> float:
        """How far the stream has come: to the end of its last frame, as long as there are any."""
        return self.stream.ms_at(self._clock()) if self.stream.runs else self.last_frame_end_ms

    @property
    def recorded(self) -> bool:
        """What the caller says is kept."""
        return self._recording is not None

    def stream_ms(self, vad_sample: int) -> float:
        """Where in the carrier's stream a sample of the detector lies."""
        return max(0.0, (self._ahead + vad_sample) / TICKS_PER_MS)

    def since(self, vad_sample: int) -> float:
        """Seconds of caller audio after a sample of the detector."""
        return 0.0 if self.vad is None else (self.vad.fed - vad_sample) / TICKS_PER_S

    def turn_audio(self) -> bytes:
        """The caller's audio of this turn, the last eight seconds at most."""
        return bytes(self._turn_audio[-TURN_AUDIO * self._tick :])

    def turn_over(self) -> None:
        """The next turn begins; a little of what was before it stays."""
        del self._turn_audio[: -TURN_PREROLL * self._tick]

    def close(self) -> None:
        if self.vad is not None:
            self.vad.close()
        if self._recording is not None:
            self._recording.close()
