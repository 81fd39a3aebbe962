"""Speech to text without an account: the moonshine model behind a queue, in its own threads.

One `SpeechToText` serves the whole process; `local_stt.py` makes a Pipecat service of it, and the
HTTP interface calls `transcribe` itself.
"""

from __future__ import annotations

import asyncio
import re
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import soxr

from telebot.call.errors import ProviderError
from telebot.providers.moonshine import RATE_HZ, Moonshine
from telebot.providers.scripted_audio import RATE_HZ as PHONE_RATE_HZ
from telebot.providers.scripted_audio import recorded
from telebot.providers.voicing import find_speech, to_float
from telebot.providers.workers import Done, ModelThreads, WorkerStats

LONGEST_S = 60.0
# what the model makes of sound without words; said for real they come with a full stop
INVENTED = re.compile(r"(You|Thank you|Thanks|Thank you for watching!|©.*|\W*)", re.DOTALL)
# whole utterances that are hummed assent
ASSENT = {
    **dict.fromkeys(("mama", "mm", "mmh", "mmhmm", "mmhm", "mhm", "mmm"), "Mm-hmm."),
    **dict.fromkeys(("aha", "uhhu", "uhhuh", "uhuh"), "Uh-huh."),
}
SPELLINGS = (
    # the model puts sentences in quotes at will; apostrophes stay, inside words and before 'til
    (re.compile(r'["“”„«»`]'), ""),
    (re.compile(r"['‘’]{2,}"), ""),
    (re.compile(r"(?<=\w)[’‘](?=\w)"), "'"),
    (re.compile(r"(?<!\w)['‘’](?!(?:til|cause|em|bout)\b)|['‘’](?=\W*$)"), ""),
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
    """The model's text as one writes it today (tomorrow, goodbye), without quotes, '' where it made
    it up."""
    for pattern, written in SPELLINGS:
        text = pattern.sub(written, text)
    text = " ".join(text.split())
    if INVENTED.fullmatch(text):
        return ""
    return ASSENT.get(re.sub(r"[\W_]", "", text).lower(), text)


def hear(model: Moonshine, pcm16: bytes, rate_hz: int) -> str:
    """PCM to normalised text in the calling thread; '' where there is nothing to recognise."""
    speech = find_speech(to_float(pcm16), rate_hz)
    if speech is None:
        return ""
    return normalise(model.transcribe(soxr.resample(speech.samples, rate_hz, RATE_HZ, "HQ")))


class SpeechToText:
    """The process's recogniser: `threads` on one model, at most `waiting_limit` utterances wait.

    `load` before use, `close` at the end; `stats()` is for an exporter.
    """

    def __init__(self, threads: int = 1, waiting_limit: int = 64) -> None:
        self._threads = threads
        self._waiting_limit = waiting_limit
        self._pool: ModelThreads[Moonshine] | None = None

    def load(self) -> None:
        """Load the model and run it once; blocks for about half a second: call it in a thread."""
        model = Moonshine.load()
        find_speech(to_float(b"".join(recorded())), PHONE_RATE_HZ)  # numpy loads parts of it late
        model.transcribe(np.zeros(RATE_HZ, np.float32))
        self._pool = ModelThreads("stt", [model] * self._threads, waiting_limit=self._waiting_limit)

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
        """Join the threads; jobs that wait are dropped."""
        if self._pool:
            self._pool.close()
