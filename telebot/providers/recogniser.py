"""Speech to text without an account: the moonshine-voice tiny-en model in its own thread.

One `SpeechToText` serves the whole process; `local_stt.py` makes a Pipecat service of it, and the
HTTP interface calls `transcribe` itself. A `Transcriber` is not thread-safe, so each has a thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import re
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import soxr

from telebot.call.errors import ProviderError
from telebot.providers.voicing import Floats, find_speech, to_float
from telebot.providers.workers import Done, ModelThreads, WorkerStats

if TYPE_CHECKING:
    from moonshine_voice.transcriber import Transcriber

MODEL_RATE_HZ = 16000
LONGEST_S = 60.0
# what the model makes of sound without words; said for real they come with a full stop
INVENTED = re.compile(r"(You|Thank you|Thanks|Thank you for watching!|©.*|\W*)", re.DOTALL)
# whole utterances that are hummed assent
ASSENT = {
    **dict.fromkeys(("mama", "mm", "mmh", "mmhmm", "mmhm", "mhm", "mmm"), "Mm-hmm."),
    **dict.fromkeys(("aha", "uhhu", "uhhuh", "uhuh"), "Uh-huh."),
}
SPELLINGS = (
    (re.compile(r"\b([Tt])o-(day|morrow|night)\b"), r"\1o\2"),
    (re.compile(r"\b([Gg])ood[- ]?bye?\b"), r"\1oodbye"),
    (re.compile(r"\bhalf-past\b"), "half past"),
    (re.compile(r"[♪♫]+"), " "),
)


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said. `queue_ms`: waiting for the model; `model_ms`: in it; `audio_s`: heard."""

    text: str
    queue_ms: float
    model_ms: float
    audio_s: float


def normalise(text: str) -> str:
    """The model's text as one writes it today (tomorrow, goodbye), '' where it made it up."""
    for pattern, written in SPELLINGS:
        text = pattern.sub(written, text)
    text = " ".join(text.split())
    if INVENTED.fullmatch(text):
        return ""
    return ASSENT.get(re.sub(r"[\W_]", "", text).lower(), text)


def load_transcriber() -> Transcriber:
    """A model of its own (half a second, 130 MB for the first, less for each further one)."""
    from moonshine_voice import ModelArch, get_model_path
    from moonshine_voice.transcriber import Transcriber

    # its own voice detection keeps state between calls, so one caller's noise would tune the next
    return Transcriber(
        str(get_model_path("tiny-en")), ModelArch.TINY, options={"vad_threshold": "0.0"}
    )


def recognise(model: Transcriber, samples: Floats) -> str:
    """Run the model over 16 kHz float samples.

    Calls the C function itself: the Python wrapper copies all samples through lists three times,
    which holds the interpreter (and so every call's audio) for milliseconds.
    """
    from moonshine_voice.errors import MoonshineError, check_error
    from moonshine_voice.moonshine_api import TranscriptC

    audio = np.ascontiguousarray(samples, np.float32)
    out = ctypes.POINTER(TranscriptC)()
    try:
        check_error(
            model._lib.moonshine_transcribe_without_streaming(
                model._handle,
                audio.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
                len(audio),
                MODEL_RATE_HZ,
                0,
                ctypes.byref(out),
            )
        )
    except MoonshineError as error:
        raise ProviderError(f"local recogniser: {error}") from error
    lines = out.contents.lines[: out.contents.line_count] if out else []
    return " ".join(
        ctypes.string_at(line.text).decode("utf-8", errors="ignore") for line in lines if line.text
    )


def hear(model: Transcriber, pcm16: bytes, rate_hz: int) -> str:
    """PCM to normalised text in the calling thread; '' where there is nothing to recognise."""
    speech = find_speech(to_float(pcm16), rate_hz)
    if speech is None:
        return ""
    return normalise(recognise(model, soxr.resample(speech.samples, rate_hz, MODEL_RATE_HZ, "HQ")))


class SpeechToText:
    """The process's recogniser: `threads` models, at most `waiting_limit` utterances in the queue.

    `load` before use, `close` at the end; `stats()` is for an exporter.
    """

    def __init__(
        self,
        threads: int = 1,
        waiting_limit: int = 64,
        make: Callable[[], Transcriber] = load_transcriber,
    ) -> None:
        self._threads = threads
        self._waiting_limit = waiting_limit
        self._make = make
        self._models: list[Transcriber] = []
        self._pool: ModelThreads[Transcriber] | None = None

    def load(self) -> None:
        """Load the models and run each once; blocks for about a second, so call it in a thread."""
        self._models = [self._make() for _ in range(self._threads)]
        for model in self._models:
            recognise(model, np.zeros(MODEL_RATE_HZ, np.float32))
        self._pool = ModelThreads("stt", self._models, waiting_limit=self._waiting_limit)

    def submit(self, pcm16: bytes, rate_hz: int) -> Future[Done[str]]:
        """Queue an utterance (int16 little-endian mono) without waiting for it.

        Cancelling the future skips it if it has not started. Raises ProviderBusy when the queue is
        full, ProviderError when the models are not loaded or the audio is longer than a minute.
        """
        if self._pool is None:
            raise ProviderError("the local recogniser is not loaded")
        audio_s = len(pcm16) / 2 / rate_hz
        if audio_s > LONGEST_S:
            raise ProviderError(f"{audio_s:.0f} s of audio at once, at most {LONGEST_S:.0f} s")
        return self._pool.submit(lambda model: hear(model, pcm16, rate_hz))

    async def transcribe(self, pcm16: bytes, rate_hz: int) -> Transcript:
        """Text of an utterance, off the event loop. Errors as in `submit`."""
        done = await asyncio.wrap_future(self.submit(pcm16, rate_hz))
        return Transcript(done.value, done.queue_ms, done.model_ms, len(pcm16) / 2 / rate_hz)

    def stats(self) -> WorkerStats | None:
        """The queue's counters; None before `load`."""
        return self._pool.stats() if self._pool else None

    def close(self) -> None:
        """Join the threads and free the models."""
        if self._pool:
            self._pool.close()
        for model in self._models:
            model.close()
        self._models = []
