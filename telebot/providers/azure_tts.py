"""Azure's voices over their REST interface, as a Pipecat service: mu-law at 8 kHz, played as it is
made.

Pipecat's own service needs Microsoft's SDK (docs/decisions/0010-azure-without-its-sdk.md). SSML:
https://learn.microsoft.com/azure/ai-services/speech-service/speech-synthesis-markup-structure.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

import aiohttp
from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService
from pipecat.utils.types import NOT_GIVEN, NotGiven

from telebot.providers.azure_rest import TTS_PATH, VOICE, key_headers, ssml
from telebot.providers.rest import FAILURES, TIMEOUT, accepted, error_frame
from telebot.providers.streamed_audio import pcm16

MULAW_HZ = 8000
# rates without a header in front of the audio, so that the first piece can be played
FORMATS = {
    8000: "raw-8khz-8bit-mono-mulaw",
    16000: "raw-16khz-16bit-mono-pcm",
    22050: "raw-22050hz-16bit-mono-pcm",
    24000: "raw-24khz-16bit-mono-pcm",
    44100: "raw-44100hz-16bit-mono-pcm",
    48000: "raw-48khz-16bit-mono-pcm",
}


@dataclass
class AzureVoiceSettings(TTSSettings):
    """`rate`: of SSML's prosody element, e.g. ``+10%``."""

    rate: str | NotGiven | None = field(default_factory=lambda: NOT_GIVEN)


class AzureTTSService(TTSService):
    """One request a sentence on the process's HTTP client. Raises ValueError for a rate that
    Azure does not give."""

    Settings = AzureVoiceSettings
    _settings: AzureVoiceSettings

    def __init__(
        self,
        *,
        api_key: str,
        session: aiohttp.ClientSession,
        base_url: str = "https://eastus.tts.speech.microsoft.com",
        sample_rate: int = MULAW_HZ,
        settings: AzureVoiceSettings | None = None,
    ) -> None:
        if sample_rate not in FORMATS:
            raise ValueError(f"sample_rate is one of {', '.join(map(str, FORMATS))}")
        chosen = AzureVoiceSettings(model="neural", voice=VOICE, language=None, rate=None)
        if settings is not None:
            chosen.apply_update(settings)
        super().__init__(
            push_start_frame=True, push_stop_frames=True, sample_rate=sample_rate, settings=chosen
        )
        self._session = session
        self._url = base_url + TTS_PATH
        self._rate_hz = sample_rate
        self._headers = {
            **key_headers(api_key),
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": FORMATS[sample_rate],
        }

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Audio frames as Azure's pieces arrive."""
        await self.start_tts_usage_metrics(text)
        mulaw = self._rate_hz == MULAW_HZ
        try:
            async with self._session.post(
                self._url, data=self._ssml(text), headers=self._headers, timeout=TIMEOUT
            ) as answer:
                pieces = (await accepted("azure", answer)).content.iter_any()
                async for pcm in pcm16(pieces, mulaw=mulaw):
                    yield TTSAudioRawFrame(pcm, self._rate_hz, 1, context_id=context_id)
        except FAILURES as error:
            yield error_frame("azure", error)

    def _ssml(self, text: str) -> bytes:
        voice, rate = str(self._settings.voice), self._settings.rate
        return ssml(text, voice, str(self._settings.language or ""), str(rate or ""))
