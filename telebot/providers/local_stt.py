"""The local recogniser as a Pipecat service: caller audio in, one transcript a stretch of speech.

The phone transport hands audio to `process_audio_frame` itself and only events travel as frames;
the text goes on to the turn logic in `speech/`. Recognition starts at the first ~100 ms of silence
(`pause`), so that the text is usually there when the VAD says that the caller has stopped.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import Future
from typing import Any, Protocol

from pipecat.frames.frames import (
    Frame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import STTSettings
from pipecat.utils.time import time_now_iso8601

from telebot.call.errors import ProviderConfigError, ProviderError
from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.recogniser import LONGEST_S as MODEL_LONGEST_S
from telebot.providers.recogniser import Transcript
from telebot.providers.resources import Resources
from telebot.providers.vendor import check_known
from telebot.providers.voicing import quiet_point, to_float
from telebot.providers.workers import Done

Job = Future[Done[str]]

PHONE_HZ = 8000
WIDE: Mapping[str, Mapping[str, Any]] = {"stt": {"rate_hz": 16_000}}

PREROLL_S = 0.5
LONGEST_S = 30.0
EARLY_FRESH_S = 0.6  # an early result that ends longer before the VAD stop than this missed words
CUT_WITHIN_S = 3.0  # a long utterance is cut at the quietest point this close to its limit
SHARED_S = 0.1  # of the silence after a stretch that a next one may begin with: no word twice
TRANSCRIPT_P99_S = 0.3


class Recogniser(Protocol):
    """A model of this machine behind a queue (`recogniser.py`, `faster_whisper.py`)."""

    def submit(self, pcm16: bytes, rate_hz: int) -> Job:
        """The text of an utterance, '' where nothing was said. Raises ProviderError, at once or in
        the job."""
        ...


class LocalSTTService(AnsweringSTTService):
    """Transcribes each stretch of speech that the VAD frames enclose.

    Pushes a finalized `TranscriptionFrame` (its `result` is a `Transcript`) after each
    `VADUserStoppedSpeakingFrame`, or an `EmptyTranscriptFrame` where no words were found, in the
    order of the stretches. Stretches over `longest_s` are recognised in pieces.
    """

    def __init__(
        self,
        speech: Recogniser,
        *,
        model: str = "moonshine-tiny-en",
        rate_hz: int = PHONE_HZ,
        preroll_s: float = PREROLL_S,
        longest_s: float = LONGEST_S,
    ) -> None:
        super().__init__(
            sample_rate=rate_hz,
            audio_passthrough=False,
            ttfs_p99_latency=TRANSCRIPT_P99_S,
            settings=STTSettings(model=model, language=None),
        )
        self._speech = speech
        self._rate_hz = rate_hz
        self._preroll_bytes = round(preroll_s * rate_hz) * 2
        self._shared_bytes = round(SHARED_S * rate_hz) * 2
        self._longest_bytes = round(longest_s * rate_hz) * 2
        self._sound = bytearray()
        self._in_speech = False
        self._pieces: list[Job] = []
        self._cut_bytes = 0
        self._early: Job | None = None
        self._early_bytes = 0
        self._answer: asyncio.Task[None] | None = None

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Keep `audio` (int16 mono at the service's rate); recognition is started by events."""
        self._sound += audio[: len(audio) & ~1]  # never half a sample: it would turn all to noise
        if not self._in_speech:
            del self._sound[: -self._preroll_bytes]
        elif len(self._sound) >= self._longest_bytes:
            self._cut()
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame):
            self._in_speech = True
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._in_speech:
            self._finish()

    def pause(self) -> None:
        """The caller has been silent for a moment: recognise what there is, in case they are done.

        Call it on the event loop at each ~100 ms of silence inside speech. A newer pause replaces
        the older one; costs nothing outside speech.
        """
        if not self._in_speech or self.is_muted or not self._sound:
            return
        self._drop_early()
        try:
            self._early = self._speech.submit(bytes(self._sound), self._rate_hz)
            self._early_bytes = len(self._sound)
        except ProviderError:
            self._early = None  # the end of speech asks again, and says so if it fails too

    def resume(self) -> None:
        """The caller went on speaking after `pause`: a job that has not started is dropped."""
        self._drop_early()

    def _cut(self) -> None:
        """Recognise what there is of an endless utterance up to its last short pause."""
        self._drop_early()
        sound = bytes(self._sound)
        cut_bytes = quiet_point(to_float(sound), self._rate_hz, CUT_WITHIN_S) * 2
        self._cut_bytes += cut_bytes
        try:
            self._pieces.append(self._speech.submit(sound[:cut_bytes], self._rate_hz))
        except ProviderError as error:
            self._pieces.append(_failed(error))
        del self._sound[:cut_bytes]

    def _finish(self) -> None:
        """End of speech: collect the jobs of this stretch and answer when they are done."""
        jobs, self._pieces = self._pieces, []
        fresh = len(self._sound) - self._early_bytes < EARLY_FRESH_S * self._rate_hz * 2
        if self._early is not None and fresh:
            jobs.append(self._early)
            self._early = None
        elif self._sound:
            self._drop_early()
            try:
                jobs.append(self._speech.submit(bytes(self._sound), self._rate_hz))
            except ProviderError as error:
                jobs.append(_failed(error))
        audio_s = (self._cut_bytes + len(self._sound)) / 2 / self._rate_hz
        self._in_speech = False
        self._cut_bytes = 0
        del self._sound[: -self._shared_bytes]
        self._answer = self.create_task(self._push_text(jobs, audio_s, self._answer), "transcript")

    async def _push_text(
        self, jobs: list[Job], audio_s: float, before: asyncio.Task[None] | None
    ) -> None:
        """Wait for `jobs` and the answer `before` this one, then push what was said."""
        try:
            if before is not None:
                await asyncio.wait([before])
            done = [await asyncio.wrap_future(job) for job in jobs]
        except ProviderError as error:
            await self.push_error(str(error), exception=error)
            await self.push_frame(EmptyTranscriptFrame(audio_s, failed=True))
        else:
            await self._push_done(done, audio_s)
        finally:
            for job in jobs:
                job.cancel()

    async def _push_done(self, done: list[Done[str]], audio_s: float) -> None:
        text = " ".join(d.value for d in done if d.value)
        result = Transcript(
            text, sum(d.queue_ms for d in done), sum(d.model_ms for d in done), audio_s
        )
        await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
        if text:
            frame = TranscriptionFrame(
                text, self._user_id, time_now_iso8601(), result=result, finalized=True
            )
            await self.push_frame(frame)
        else:
            await self.push_frame(EmptyTranscriptFrame(audio_s))

    def _drop_early(self) -> None:
        if self._early is not None:
            self._early.cancel()
            self._early = None

    async def _drop_all(self) -> None:
        self._in_speech = False
        self._drop_early()
        for job in self._pieces:
            job.cancel()
        self._pieces = []
        answer, self._answer = self._answer, None
        while answer is not None and not answer.done():
            await self.cancel_task(answer)


def _failed(error: ProviderError) -> Job:
    job: Job = Future()
    job.set_exception(error)
    return job


def build(options: Mapping[str, Any], resources: Resources) -> LocalSTTService:
    """`stt: local`, or `{service: local, preroll_s: 0.5, longest_s: 30}` (seconds)."""
    check_known("option", options, ("preroll_s", "longest_s", *WIDE["stt"]), "local")
    return LocalSTTService(
        resources.local.stt,
        rate_hz=int(options.get("rate_hz", PHONE_HZ)),
        preroll_s=seconds(options, "preroll_s", PREROLL_S, 2.0),
        longest_s=seconds(options, "longest_s", LONGEST_S, MODEL_LONGEST_S),
    )


def seconds(
    options: Mapping[str, Any], name: str, default: float, most: float, who: str = "local"
) -> float:
    """An option that is a duration, 0.1 s to `most`. Raises ProviderConfigError."""
    value = options.get(name, default)
    if not isinstance(value, int | float) or not 0.1 <= value <= most:
        raise ProviderConfigError(f"{who}: {name} is {value!r}; write seconds, 0.1 to {most:g}")
    return float(value)
