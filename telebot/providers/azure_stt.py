"""Azure's recognition of short audio over REST, as a Pipecat service: one request an utterance.

Pipecat's own service needs Microsoft's SDK (docs/decisions/0010-azure-without-its-sdk.md). Audio is
16 kHz int16 in a WAV, sent in chunks; at most 60 s, final results only:
https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
from pipecat.frames.frames import Frame, TranscriptionFrame
from pipecat.services.settings import STTSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.utils.time import time_now_iso8601

from telebot.audio import wav
from telebot.audio.resample import resample
from telebot.call.errors import ProviderError
from telebot.providers.answering_stt import AnsweringSTTService
from telebot.providers.azure_rest import STT_PATH, key_headers
from telebot.providers.frames import EmptyTranscriptFrame
from telebot.providers.rest import FAILURES, TIMEOUT, accepted, error_frame

LANGUAGE = "en-US"
WIRE_HZ = 16000
LONGEST_S = 60
CHUNK = 8192
P99_S = 1.8
NOTHING = ("NoMatch", "InitialSilenceTimeout", "BabbleTimeout")
HEADERS = {
    "Content-Type": f"audio/wav; codecs=audio/pcm; samplerate={WIRE_HZ}",
    "Accept": "application/json",
}


class AzureSTTService(AnsweringSTTService, SegmentedSTTService):
    """Answers each end of speech: a finalized `TranscriptionFrame`, an `EmptyTranscriptFrame` where
    Azure hears no words, or an error and an `EmptyTranscriptFrame` that says so."""

    Settings = STTSettings
    _settings: STTSettings

    def __init__(
        self,
        *,
        api_key: str,
        session: aiohttp.ClientSession,
        base_url: str = "https://eastus.stt.speech.microsoft.com",
        sample_rate: int = 8000,
        endpoint_id: str | None = None,
        settings: STTSettings | None = None,
    ) -> None:
        """`endpoint_id` is a Custom Speech endpoint's."""
        chosen = STTSettings(model="real-time", language=None)
        if settings is not None:
            chosen.apply_update(settings)
        super().__init__(
            sample_rate=sample_rate,
            audio_passthrough=False,
            ttfs_p99_latency=P99_S,
            settings=chosen,
        )
        self._session = session
        self._url = base_url + STT_PATH
        self._headers = {**key_headers(api_key), **HEADERS}
        self._rate_hz = sample_rate
        self._endpoint = {"cid": endpoint_id} if endpoint_id else {}

    @property
    def wants_wav_segments(self) -> bool:
        return False  # it goes out at another rate, with a header of its own

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Recognise an utterance (int16 mono at the service's rate)."""
        speech_s = len(audio) / 2 / self._rate_hz
        try:
            text = await self.ask(audio)
        except FAILURES as error:
            yield error_frame("azure", error)
            yield EmptyTranscriptFrame(speech_s, failed=True)
            return
        if text:
            yield TranscriptionFrame(text, self._user_id, time_now_iso8601(), finalized=True)
        else:
            yield EmptyTranscriptFrame(speech_s)

    async def ask(self, audio: bytes) -> str:
        """The text of `audio`; "" where there is none. Raises ProviderError and what aiohttp does.
        Of more than a minute the end is taken."""
        language = str(self._settings.language or LANGUAGE)
        longest = audio[-LONGEST_S * self._rate_hz * 2 :]
        async with self._session.post(
            self._url,
            params={"language": language, "format": "simple", **self._endpoint},
            data=_chunks(wav.written(resample(longest, self._rate_hz, WIRE_HZ), WIRE_HZ)),
            headers=self._headers,
            expect100=True,
            timeout=TIMEOUT,
        ) as answer:
            said = await (await accepted("azure", answer)).json(content_type=None)
        return _text(said)


def _text(said: Any) -> str:
    status = said.get("RecognitionStatus") if isinstance(said, dict) else None
    if status == "Success":
        return str(said.get("DisplayText", "")).strip()
    if status in NOTHING:
        return ""
    raise ProviderError(f"azure could not recognise ({status})")


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), CHUNK):
        yield data[at : at + CHUNK]
