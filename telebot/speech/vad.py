"""Voice activity of every call of the process through one model.

Silero's VAD (ONNX, inside Pipecat) wants windows of 256 samples at 8 kHz, of 512 at 16 kHz: 256
ticks of a line. Windows of different calls that fall due in the same loop iteration run as one
batch: 54 microseconds alone, about 17 each from sixteen on; one session for all saves 50 MB a call.
`CallVad` is one call's detector: an energy gate in front of the model, and behind it Pipecat's rule
of start and stop times. It tells a `SpeechListener`, on the event loop and at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from importlib import resources
from typing import Protocol

import numpy as np
import onnxruntime as ort
import structlog

from telebot.audio.line import TICKS_PER_S, ULAW, Form

log = structlog.get_logger()
WINDOW = 256  # ticks a window; 32 ms
CONTEXT = 32  # ticks of the window before, which the model wants again
WINDOW_S = WINDOW / TICKS_PER_S
WARM_UP_WINDOWS = 2  # windows before the sound that reopen the gate; cold starts lose 15 ms
GATE_HOLD_WINDOWS = 12  # the model goes on this long after the last loud window (0.4 s)
FLOOR_WINDOWS = 47  # the noise floor is the quietest window of the last 1.5 to 3 s
FLOOR_RATIO = 1.5  # a window louder than this times the floor is worth asking about
FLOOR_RMS = 40  # below this nothing is speech on a telephone line
RECENT_WINDOWS = 32  # one second
UNJUDGED_WINDOWS = 128  # as many may wait to be judged after a stall
TAIL_RATIO = 0.035  # what is 29 dB below the loudest window is the end of the last word
RESET_WINDOWS = 62  # the model's memory is cleared after 2 s, in clear silence only
PAUSE_WINDOWS = 4  # silence after which a pause is announced, ahead of the stop
SUSPECT_WINDOWS = 2  # speech after which an onset is suspected, ahead of the start

_Due = tuple["CallVad", bytes, "bool | None", int]


class SpeechListener(Protocol):
    """What a detector tells. Positions are ticks of caller audio fed so far."""

    def speech_suspected(self) -> None:
        """Two windows of speech: enough to hold the bot's voice, not to call it an onset."""
        ...

    def suspicion_cleared(self) -> None: ...

    def speech_started(self, at_sample: int) -> None: ...

    def speech_paused(self) -> None:
        """About 130 ms of silence inside speech; a stop may follow."""
        ...

    def speech_resumed(self) -> None:
        """The pause that was announced is over, speech goes on."""
        ...

    def speech_stopped(self, at_sample: int) -> None:
        """`at_sample` is where the last speech was, `stop_s` before now."""
        ...


class SharedVad:
    """The model and the recurrent states of all calls of one `form`, side by side. One for the
    process; `beside` gives another for calls of another form, on the same model."""

    def __init__(
        self, slots: int = 64, form: Form = ULAW, session: ort.InferenceSession | None = None
    ) -> None:
        self.form = form
        self._session = session or _session()
        self._run = self._session.run
        self._rate = np.array(form.rate_hz, dtype=np.int64)
        self._states = np.zeros((2, slots, 128), np.float32)
        samples = (CONTEXT + WINDOW) * form.rate_hz // TICKS_PER_S
        self._inputs = np.zeros((slots, samples), np.float32)
        self._free = list(range(slots))[::-1]
        self._due: list[_Due] = []
        self._armed = False
        self.windows = 0
        self.batches = 0

    def beside(self, form: Form, slots: int = 8) -> SharedVad:
        """One for calls whose audio has another form."""
        return SharedVad(slots, form, self._session)

    @property
    def in_use(self) -> int:
        """Slots taken by calls."""
        return len(self._states[0]) - len(self._free)

    def take(self) -> int:
        """A slot of recurrent state; grows when all are taken."""
        if not self._free:
            slots = len(self._inputs)
            self._states = np.concatenate([self._states, np.zeros_like(self._states)], axis=1)
            self._inputs = np.concatenate([self._inputs, np.zeros_like(self._inputs)])
            self._free = list(range(slots, 2 * slots))[::-1]
        return self._free.pop()

    def give(self, slot: int) -> None:
        self._free.append(slot)

    def submit(self, vad: CallVad, window: bytes, loud: bool | None, index: int) -> None:
        """Put a window up for the next batch; `loud` None only warms the state up."""
        self._due.append((vad, window, loud, index))
        if not self._armed:
            self._armed = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Run what is due. A call with several windows due takes part in several batches."""
        self._armed = False
        while self._due:
            batch: list[_Due] = []
            later: list[_Due] = []
            seen: set[int] = set()
            for item in self._due:
                if item[0].closed:
                    continue
                (later if item[0].slot in seen else batch).append(item)
                seen.add(item[0].slot)
            self._due = later
            if batch:
                self._infer(batch)

    def _infer(self, batch: list[_Due]) -> None:
        inputs, states = self._inputs, self._states
        for vad, window, _, _ in batch:
            if vad.fresh:
                states[:, vad.slot] = 0
                vad.fresh = False
            inputs[vad.slot] = self.form.to_float(window)
        slots = [item[0].slot for item in batch]
        feed = {"input": inputs[slots], "state": states[:, slots], "sr": self._rate}
        confidences, new_states = self._run(None, feed)
        states[:, slots] = new_states
        self.windows += len(slots)
        self.batches += 1
        for (vad, _, loud, index), confidence in zip(
            batch, confidences[:, 0].tolist(), strict=True
        ):
            if loud is None or vad.closed:
                continue
            try:
                vad.judge(confidence if loud else 0.0, index)
            except Exception:  # one call's fault must not deafen the others
                log.exception("voice detector failed")


def _session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = resources.files("pipecat.audio.vad.data") / "silero_vad.onnx"
    return ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class EnergyGate:
    """Measures every window, and spares the model those no louder than the line itself.

    The floor is the quietest recent window; until it is known every window passes. Windows at the
    floor count as silence whatever the model says, so the end of speech is seen 60 ms sooner."""

    def __init__(self, form: Form = ULAW) -> None:
        self._rms = form.rms
        self._quietest = self._quietest_before = 1 << 15
        self._seen = 0
        self._hold = 0
        self._recent: deque[int] = deque(maxlen=RECENT_WINDOWS + UNJUDGED_WINDOWS)
        self.known = False

    def loud(self, window: bytes) -> bool:
        """True where the window stands out of the line's noise, or the floor is not known yet."""
        rms = self._rms(window)
        self._recent.append(rms)
        self._quietest = min(self._quietest, rms)
        self._seen += 1
        if self._seen == FLOOR_WINDOWS:
            self._quietest_before, self._quietest = self._quietest, 1 << 15
            self._seen = 0
            self.known = True
        stands_out = rms > max(FLOOR_RMS, FLOOR_RATIO * self._floor)
        self._hold = GATE_HOLD_WINDOWS if stands_out else self._hold - 1
        return stands_out or not self.known

    def silent_windows(self, later: int) -> int:
        """How many windows hold no sound, against the loudest of the last second: the model's word
        lags the end of speech. The newest `later` windows do not count: they are not judged yet."""
        judged = list(self._recent)[: len(self._recent) - later]
        recent = judged[-RECENT_WINDOWS:]
        if not recent:
            return 0
        floor = self._floor if self.known else 0
        quiet = max(FLOOR_RMS, TAIL_RATIO * max(recent), FLOOR_RATIO * floor)
        silent = 0
        for rms in reversed(recent):
            if rms > quiet:
                break
            silent += 1
        return silent

    @property
    def _floor(self) -> int:
        return min(self._quietest, self._quietest_before)

    @property
    def open(self) -> bool:
        return self._hold > 0 or not self.known


class CallVad:
    """One call's detector. Feed it audio of the shared one's form, whole ticks of any number; close
    it to give its slot back."""

    def __init__(
        self,
        shared: SharedVad,
        listener: SpeechListener,
        *,
        confidence: float,
        start_s: float,
        stop_s: float,
        gate: bool,
    ) -> None:
        self._shared = shared
        self._listener = listener
        self._confidence = confidence
        self._start_windows = max(1, round(start_s / WINDOW_S))
        self._stop_windows = max(PAUSE_WINDOWS + 1, round(stop_s / WINDOW_S))
        form = shared.form
        self._tick = form.bytes_a_tick
        self._whole, self._step = (CONTEXT + WINDOW) * self._tick, WINDOW * self._tick
        self._gate = EnergyGate(form)
        self._gated = gate
        self._buffer = bytearray(form.silence(CONTEXT))
        self._before: deque[bytes] = deque(maxlen=WARM_UP_WINDOWS)
        self._run = 0  # windows in a row that speak for a change of state
        self._since_reset = 0
        self._quiet = 0
        self._index = 0
        self.slot = shared.take()
        self.fresh = True
        self.closed = False
        self.speaking = False

    @property
    def fed(self) -> int:
        """Ticks of caller audio fed so far."""
        return self._index * WINDOW + len(self._buffer) // self._tick - CONTEXT

    def feed(self, audio: bytes) -> None:
        """Caller audio; verdicts come to the listener within this loop iteration."""
        buffer, whole = self._buffer, self._whole
        buffer += audio
        while len(buffer) >= whole:
            window = bytes(buffer[:whole])
            del buffer[: self._step]
            self._index += 1
            self._window(window)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self._shared.give(self.slot)

    def _window(self, window: bytes) -> None:
        gate = self._gate
        loud = gate.loud(window)
        if not self._gated:
            self._shared.submit(self, window, True, self._index)
            return
        if gate.open or self.speaking:
            for earlier in self._before:
                self._shared.submit(self, earlier, None, self._index)
            self._before.clear()
            self._shared.submit(self, window, loud, self._index)
            return
        self.fresh = True
        self._before.append(window)
        if self._run >= SUSPECT_WINDOWS:
            self._listener.suspicion_cleared()
        self._run = 0

    def judge(self, confidence: float, index: int) -> None:
        """The model's word on window number `index`."""
        speech = confidence >= self._confidence
        if self.speaking:
            self._judge_stop(speech, index)
        else:
            self._judge_start(speech, index)
            self._maybe_forget(confidence)

    def _judge_stop(self, speech: bool, index: int) -> None:
        if speech:
            paused, self._run = self._run >= PAUSE_WINDOWS, 0
            if paused:
                self._listener.speech_resumed()
            return
        self._run += 1
        if self._run == PAUSE_WINDOWS:
            self._listener.speech_paused()
        if self._run >= self._stop_windows:
            silent, self._run, self.speaking = self._run, 0, False
            silent = max(silent, self._gate.silent_windows(self._index - index))
            self._listener.speech_stopped((index - silent) * WINDOW)

    def _judge_start(self, speech: bool, index: int) -> None:
        if not speech:
            suspected, self._run = self._run >= SUSPECT_WINDOWS, 0
            if suspected:
                self._listener.suspicion_cleared()
            return
        self._run += 1
        if self._run >= self._start_windows:
            voiced, self._run, self.speaking = self._run, 0, True
            self._listener.speech_started((index - voiced) * WINDOW)
        elif self._run == SUSPECT_WINDOWS:
            self._listener.speech_suspected()

    def _maybe_forget(self, confidence: float) -> None:
        """Pipecat clears the model's memory now and then; in clear silence nothing is lost."""
        self._since_reset += 1
        self._quiet = self._quiet + 1 if confidence < 0.1 else 0
        if self._since_reset >= RESET_WINDOWS and self._quiet >= 5:
            self.fresh = True
            self._since_reset = 0
