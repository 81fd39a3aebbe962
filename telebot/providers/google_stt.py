"""Google's streaming recognition (Speech-to-Text v2) as a Pipecat service: one stream an utterance.

A stream is opened when the VAD hears the caller and half-closed when it hears them stop: Google
then settles its text at once, instead of after a silence of its own. Pipecat's own service keeps
one stream for minutes, so that the final text waits for Google's endpointing; it asks for 16-bit
audio, reports each error twice and connects again for ever, and takes neither an address nor an
API key. https://docs.cloud.google.com/speech-to-text/docs/reference/rpc/google.cloud.speech.v2.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from google.cloud.speech_v2.types import cloud_speech
from pipecat.frames.frames import (
    Frame,
    InterimTranscriptionFrame,
    TranscriptionFrame,
    VADUserStartedSpeakingFrame,
    VADUserStoppedSpeakingFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.services.google.stt import language_to_google_stt_language
from pipecat.services.settings import STTSettings
from pipecat.transcriptions.language import Language
from pipecat.utils.time import time_now_iso8601
from pipecat.utils.types import NOT_GIVEN, NotGiven

from telebot.audio import g711
from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.google_cloud import FAILURES, closing, error_frame, lost

MODEL = "telephony"
LANGUAGE = "en-US"
MULAW_HZ = 8000
PREROLL_S = 0.5
LARGEST = 25_000  # bytes of audio in a message; Google takes 25 kB
ANSWER_S = 10.0  # from the end of speech; longer than any deadline of a chain
WHY_S = 0.2  # for Google to refuse a stream
P99_S = 1.6


@dataclass
class GoogleHearingSettings(STTSettings):
    """`punctuation`: whether Google adds it (not every model can)."""

    punctuation: bool | NotGiven = field(default_factory=lambda: NOT_GIVEN)


class Utterance:
    """A stretch of speech on its way to Google."""

    def __init__(self, bytes_a_s: int) -> None:
        self._bytes_a_s = bytes_a_s
        self.over = asyncio.Event()
        self.audio_s = 0.0
        self._limit: asyncio.Timeout | None = None
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue()

    def add(self, audio: bytes) -> None:
        """More audio; a message without any would be refused."""
        if not audio:
            return
        self.audio_s += len(audio) / self._bytes_a_s
        self._pieces.put_nowait(audio)

    def end(self) -> None:
        """The caller has stopped: half-close the stream."""
        self._pieces.put_nowait(None)
        self.over.set()
        self._hurry()

    @contextlib.asynccontextmanager
    async def limited(self) -> AsyncIterator[None]:
        """Raises TimeoutError `ANSWER_S` after the end of speech."""
        try:
            async with asyncio.timeout(None) as self._limit:
                self._hurry()
                yield
        finally:
            self._limit = None

    def _hurry(self) -> None:
        if self._limit is not None and self.over.is_set():
            self._limit.reschedule(asyncio.get_running_loop().time() + ANSWER_S)

    def leave(self) -> None:
        """Nobody listens any more: gRPC's task that asks for `requests` must end."""
        self._pieces.put_nowait(None)

    async def requests(self, first: Any) -> AsyncIterator[Any]:
        """The messages of the stream; what has gathered goes in one of them."""
        yield first
        going = True
        while going:
            gathered = bytearray()
            piece = await self._pieces.get()
            while piece is not None:
                gathered += piece
                if self._pieces.empty():
                    break
                piece = self._pieces.get_nowait()
            going = piece is not None
            for at in range(0, len(gathered), LARGEST):
                audio = bytes(gathered[at : at + LARGEST])
                yield cloud_speech.StreamingRecognizeRequest(audio=audio)


class GoogleSTTService(AnsweringSTTService):
    """Answers each end of speech: a finalized `TranscriptionFrame`, an `EmptyTranscriptFrame` where
    Google hears no words or has failed. An error is reported when it happens, in the middle of an
    utterance too."""

    Settings = GoogleHearingSettings
    _settings: GoogleHearingSettings

    def __init__(
        self,
        *,
        client: Any,
        metadata: Sequence[tuple[str, str]],
        project: str,
        location: str = "global",
        sample_rate: int = MULAW_HZ,
        settings: GoogleHearingSettings | None = None,
    ) -> None:
        chosen = GoogleHearingSettings(model=MODEL, language=None, punctuation=True)
        if settings is not None:
            chosen.apply_update(settings)
        super().__init__(
            sample_rate=sample_rate,
            audio_passthrough=False,
            ttfs_p99_latency=P99_S,
            settings=chosen,
        )
        self._rate_hz, self._mulaw = sample_rate, sample_rate == MULAW_HZ
        self._bytes_a_s = sample_rate * (1 if self._mulaw else 2)
        self._client = client
        self._metadata = tuple(metadata)
        self.recognizer = f"projects/{project}/locations/{location}/recognizers/_"
        self.host = str(client.transport.host)
        self._before = bytearray()
        self._utterance: Utterance | None = None
        self._answers: list[asyncio.Task[None]] = []

    def language_to_service_language(self, language: Language) -> str | None:
        return language_to_google_stt_language(language)

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Begin to connect; the first utterance finds the channel open."""
        await super().setup(setup)
        self._client.transport.grpc_channel.get_state(try_to_connect=True)

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Pass `audio` (int16 mono at the service's rate) on, or keep the last of it for the next
        utterance."""
        whole = audio[: len(audio) & ~1]
        wire = g711.encode(whole) if self._mulaw else whole
        if self._utterance is not None:
            self._utterance.add(wire)
        else:
            self._before += wire
            del self._before[: -round(PREROLL_S * self._bytes_a_s)]
        yield None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        if isinstance(frame, VADUserStartedSpeakingFrame) and self._utterance is None:
            self._begin()
        await super().process_frame(frame, direction)
        if isinstance(frame, VADUserStoppedSpeakingFrame) and self._utterance is not None:
            self._utterance.end()
            self._utterance = None

    def _begin(self) -> None:
        if not self.is_usable:
            return
        self._utterance = Utterance(self._bytes_a_s)
        self._utterance.add(bytes(self._before))
        self._before.clear()
        self._answers = [task for task in self._answers if not task.done()]
        before = self._answers[-1] if self._answers else None
        task = self.create_task(self._answer(self._utterance, before), "utterance")
        self._answers.append(task)

    async def _answer(self, utterance: Utterance, before: asyncio.Task[None] | None) -> None:
        """Recognise one utterance, and say what was heard when the one before has been said."""
        text, failed = "", False
        try:
            async with utterance.limited():
                text = await self._recognise(utterance)
        except FAILURES as error:
            failed = True
            await self.push_error_frame(error_frame(error))
        await utterance.over.wait()
        if before is not None:
            await asyncio.wait([before])
        await self.emit_stt_usage_metrics()  # type: ignore[no-untyped-call]
        if text:
            now = time_now_iso8601()
            await self.push_frame(TranscriptionFrame(text, self._user_id, now, finalized=True))
        else:
            await self.push_frame(EmptyTranscriptFrame(utterance.audio_s, failed=failed))

    async def _recognise(self, utterance: Utterance) -> str:
        """The text, with interim texts on the way. Raises one of `FAILURES`."""
        settled = ""
        call = self._client.streaming_recognize(
            requests=utterance.requests(self._first()), metadata=self._metadata
        )
        try:
            async with closing(call) as stream:
                async for response in stream:
                    texts = [each.alternatives[0].transcript for each in _heard(response)]
                    if any(each.is_final for each in response.results):
                        settled += texts.pop(0)
                    if any(texts):
                        await self._push_interim(settled + "".join(texts))
        except FAILURES as error:
            if lost(error):
                await self._ask_why()
            raise
        finally:
            utterance.leave()
        return _spaced(settled)

    async def _ask_why(self) -> None:
        """Begin a stream without audio. Raises what Google says to it, if it refuses."""

        async def requests() -> AsyncIterator[Any]:
            yield self._first()
            await asyncio.sleep(WHY_S)

        call = self._client.streaming_recognize(requests=requests(), metadata=self._metadata)
        async with closing(call) as stream:
            async for _ in stream:
                return

    async def _push_interim(self, text: str) -> None:
        now = time_now_iso8601()
        await self.push_frame(InterimTranscriptionFrame(_spaced(text), self._user_id, now))

    def config(self) -> Any:
        """What kind of audio comes, and how it is to be recognised."""
        kinds = cloud_speech.ExplicitDecodingConfig.AudioEncoding
        return cloud_speech.RecognitionConfig(
            explicit_decoding_config=cloud_speech.ExplicitDecodingConfig(
                encoding=kinds.MULAW if self._mulaw else kinds.LINEAR16,
                sample_rate_hertz=self._rate_hz,
                audio_channel_count=1,
            ),
            language_codes=[str(self._settings.language or LANGUAGE)],
            model=str(self._settings.model),
            features=cloud_speech.RecognitionFeatures(
                enable_automatic_punctuation=bool(self._settings.punctuation)
            ),
        )

    def _first(self) -> Any:
        return cloud_speech.StreamingRecognizeRequest(
            recognizer=self.recognizer,
            streaming_config=cloud_speech.StreamingRecognitionConfig(
                config=self.config(),
                streaming_features=cloud_speech.StreamingRecognitionFeatures(interim_results=True),
            ),
        )

    async def ask(self) -> None:
        """Have a moment's silence recognised. Raises what Google's SDK does."""
        silence = g711.SILENCE if self._mulaw else b"\0"
        request = cloud_speech.RecognizeRequest(
            recognizer=self.recognizer, config=self.config(), content=silence * 800
        )
        await self._client.recognize(request=request, metadata=self._metadata, timeout=5.0)

    async def _drop_all(self) -> None:
        self._utterance = None
        answers, self._answers = self._answers, []
        for task in answers:
            await self.cancel_task(task)


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _heard(response: Any) -> list[Any]:
    """The results that have a text; the settled one, if there is one, is the first."""
    return [each for each in response.results if each.alternatives]
