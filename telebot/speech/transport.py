"""The two ends of a call's Pipecat pipeline, and the gate between hearing and thinking.

Pipecat 1.14 has no transport for aiohttp, and audio in its queues is what a telephony bot pays
most for (fifty frames a second through every processor). So audio takes the short way: caller
audio goes from the socket to the voice detector and straight into the STT service, bot audio from
the TTS service straight into the `Voice`; only events travel as frames. All three processors are in
direct mode: no queue, no task. Public Pipecat interfaces alone are used.
"""

from __future__ import annotations

from typing import Protocol

from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InterimTranscriptionFrame,
    InterruptionFrame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    OutputAudioRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
    SystemFrame,
    TranscriptionFrame,
    TTSTextFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import TransportParams

from telebot.audio.line import TICKS_PER_S, ULAW, Form
from telebot.audio.resample import ToForm
from telebot.audio.wideband import Converted
from telebot.providers.frames import (
    CallerTurnFrame,
    EmptyTranscriptFrame,
    TakeBackFrame,
    WordTimesFrame,
)

STT_PIECE = 320  # ticks; 40 ms: half the work of two frames, and never late for a pause of 200 ms
EARLY_AUDIO = 2 * TICKS_PER_S  # caller audio kept until the STT service is up (2 s)
DOWN = FrameDirection.DOWNSTREAM
# what the recogniser says, for the conversation alone
OF_HEARING = (
    CallerTurnFrame,
    TranscriptionFrame,
    InterimTranscriptionFrame,
    EmptyTranscriptFrame,
)
PARAMS = TransportParams(audio_in_enabled=True, audio_out_enabled=True)


class Heard(Protocol):
    """What the gate tells the conversation."""

    def caller_text(self, text: str, finalized: bool) -> None: ...

    def caller_turn(self, text: str) -> None:
        """The caller's turn is over, and an answer on its way, by somebody else's judgement."""
        ...

    def caller_interim(self, text: str) -> None: ...

    def caller_no_text(self) -> None: ...


class Spoken(Protocol):
    """What the pipeline's end tells the conversation about the reply being made."""

    def reply_started(self) -> None: ...

    def reply_words(self, frame: WordTimesFrame) -> None: ...

    def reply_text(self, text: str, position_s: float | None) -> None:
        """Text of the reply; `position_s` is where in its audio it is said, when known."""
        ...

    def reply_audio(self, audio: bytes) -> None:
        """In the form of the call's line, whole ticks."""
        ...

    def reply_taken_back(self, at_s: float) -> float | None:
        """Audio behind `at_s` is not to be heard. Seconds of the reply that are left; None where
        there is none."""
        ...

    def reply_ended(self) -> None: ...

    def reply_dropped(self) -> None:
        """The interruption has passed the whole pipeline; what comes now is new."""
        ...


class Recogniser(Protocol):
    """An STT service, or a chain of them."""

    async def process_audio_frame(
        self, frame: InputAudioRawFrame, direction: FrameDirection
    ) -> None: ...


class PhoneInput(BaseInputTransport):
    """The caller's side: events into the pipeline, audio past it into the STT service. It comes in
    `form` and goes on as PCM, at `rate_hz` where the service hears no other."""

    def __init__(self, stt: Recogniser, form: Form = ULAW, rate_hz: int | None = None) -> None:
        super().__init__(PARAMS, enable_direct_mode=True)
        self._stt = stt
        self._rate_hz = rate_hz or form.rate_hz
        self._to_rate: Converted | None = None
        if self._rate_hz != form.rate_hz:
            self._to_rate = Converted(form.rate_hz, self._rate_hz)
        self._to_pcm = form.to_pcm
        self._piece = STT_PIECE * form.bytes_a_tick
        self._early = EARLY_AUDIO * form.bytes_a_tick
        self._live = False
        self._waiting = bytearray()

    async def go_live(self) -> None:
        """The pipeline has started and the STT service is connected: hand over what waited."""
        self._live = True
        await self.hear(b"")

    async def hear(self, audio: bytes) -> None:
        """Caller audio for the recogniser, which gets it in pieces of `STT_PIECE`."""
        waiting = self._waiting
        waiting += audio
        if not self._live:
            del waiting[: -self._early]
        elif len(waiting) >= self._piece:
            pcm16 = self._to_pcm(bytes(waiting))
            if self._to_rate is not None:
                pcm16 = self._to_rate.feed(pcm16)
            waiting.clear()
            await self._stt.process_audio_frame(InputAudioRawFrame(pcm16, self._rate_hz, 1), DOWN)

    async def speech_started(self, start_s: float) -> None:
        await self.push_frame(VADUserStartedSpeakingFrame(start_secs=start_s))

    async def speech_stopped(self, stop_s: float) -> None:
        await self.push_frame(VADUserStoppedSpeakingFrame(stop_secs=stop_s))

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Audio injected by a processor upstream of us takes the same short way."""
        await self._stt.process_audio_frame(frame, DOWN)


class TurnGate(FrameProcessor):
    """Keeps the recogniser's words for the turn logic, and lets whole turns through to the LLM."""

    def __init__(self, heard: Heard, context: LLMContext) -> None:
        super().__init__(enable_direct_mode=True)
        self._heard = heard
        self._context = context
        self._told = True

    def let_go(self) -> None:
        """Tell nothing any more: other services hear the caller now."""
        self._told = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not self._told and isinstance(frame, OF_HEARING):
            return
        if isinstance(frame, CallerTurnFrame):
            self._heard.caller_turn(frame.text)
        elif isinstance(frame, TranscriptionFrame):
            self._heard.caller_text(frame.text, bool(frame.finalized))
        elif isinstance(frame, InterimTranscriptionFrame):
            self._heard.caller_interim(frame.text)
        elif isinstance(frame, EmptyTranscriptFrame):
            self._heard.caller_no_text()
        elif not isinstance(frame, VADUserStartedSpeakingFrame | VADUserStoppedSpeakingFrame):
            await self.push_frame(frame, direction)

    def add_turn(self, text: str) -> None:
        """The caller's turn, for the LLM to answer."""
        self._context.add_message({"role": "user", "content": text})

    def take_back(self) -> None:
        """The last turn was not answered: it will come again, with more."""
        messages = self._context.get_messages()
        last = messages[-1] if messages else None
        if isinstance(last, dict) and last.get("role") == "user":
            self._context.set_messages(messages[:-1])

    async def run_turn(self) -> None:
        """Have the LLM answer what the context holds."""
        await self.push_frame(LLMContextFrame(self._context))

    async def interrupt(self) -> None:
        """Stop what is being thought and said."""
        await self.broadcast_interruption()  # type: ignore[no-untyped-call]


class PhoneOutput(BaseOutputTransport):
    """The bot's side: audio is brought to the line's form once, whole, and handed to the
    conversation.

    `set_transport_ready` is never called: it would start a sender with two tasks, a thread pool and
    a frame every 40 ms."""

    def __init__(self, spoken: Spoken, form: Form = ULAW) -> None:
        super().__init__(PARAMS, enable_direct_mode=True)
        self._spoken = spoken
        self._form = form
        self._told = True
        self._to_form: ToForm | None = None
        self._base_pts: int | None = None

    def let_go(self) -> None:
        """Hand on nothing any more: other services speak now."""
        self._told = False

    async def start(self, frame: StartFrame) -> None:
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def stop(self, frame: EndFrame) -> None:
        """Nothing to wait for: the conversation knows when its audio was played."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if direction is not DOWN or not self._ours(frame):
            await super().process_frame(frame, direction)
            return
        await FrameProcessor.process_frame(self, frame, direction)
        if not self._told:
            return
        if isinstance(frame, OutputAudioRawFrame):
            self._audio(frame)
            return
        if isinstance(frame, WordTimesFrame):
            self._spoken.reply_words(frame)
        elif isinstance(frame, TakeBackFrame):
            frame.left_s = self._spoken.reply_taken_back(frame.at_s)
        elif isinstance(frame, TTSTextFrame):
            self._text(frame)
        elif isinstance(frame, LLMFullResponseStartFrame):
            self._base_pts = None
            self._spoken.reply_started()
        elif isinstance(frame, LLMFullResponseEndFrame):
            self._flush()
            self._spoken.reply_ended()
        elif isinstance(frame, InterruptionFrame):
            self._to_form = None
            self._spoken.reply_dropped()
        await self.push_frame(frame, direction)

    @staticmethod
    def _ours(frame: Frame) -> bool:
        return isinstance(frame, InterruptionFrame | OutputAudioRawFrame) or not isinstance(
            frame, SystemFrame | EndFrame
        )

    def _audio(self, frame: OutputAudioRawFrame) -> None:
        if self._base_pts is None:
            self._base_pts = self.get_clock().get_time()
        if self._to_form is None or self._to_form.rate_hz != frame.sample_rate:
            self._to_form = ToForm(frame.sample_rate, self._form)
        audio = self._to_form.feed(frame.audio)
        if audio:
            self._spoken.reply_audio(audio)

    def _flush(self) -> None:
        """The resampler's filter still holds the last milliseconds of the reply."""
        if self._to_form is not None:
            rest = self._to_form.feed(b"", last=True)
            self._to_form = None
            if rest:
                self._spoken.reply_audio(rest)

    def _text(self, frame: TTSTextFrame) -> None:
        position_s = None
        if frame.pts and self._base_pts is not None:
            position_s = max(0.0, (frame.pts - self._base_pts) / 1e9)
        self._spoken.reply_text(frame.text, position_s)
