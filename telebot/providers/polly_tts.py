"""Amazon Polly's voices as a Pipecat service: mu-law at 8 kHz, played as it arrives.

Pipecat's own makes a client (and so a TLS handshake) for every sentence, waits for the whole
sentence at 16 kHz, and resamples it; this one shares the process's client and streams.
https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.services.aws.tts import AWSPollyTTSService, AWSPollyTTSSettings

from telebot.providers.polly_client import FAILURES, PollyClient, error_frame
from telebot.providers.streamed_audio import pcm16

MULAW_HZ = 8000
RATES_HZ = (8000, 16000)
PIECE = 800  # bytes: 0.1 s of mu-law


class PollyTTSService(AWSPollyTTSService):
    """One request a sentence. Raises ValueError for a rate that Polly does not give."""

    _settings: AWSPollyTTSSettings

    def __init__(
        self,
        *,
        client: PollyClient,
        sample_rate: int = MULAW_HZ,
        settings: AWSPollyTTSSettings | None = None,
    ) -> None:
        if sample_rate not in RATES_HZ:
            raise ValueError(f"sample_rate is one of {', '.join(map(str, RATES_HZ))}")
        super().__init__(region=client.region, sample_rate=sample_rate, settings=settings)
        self._client = client
        self._rate_hz = sample_rate

    async def setup(self, setup: FrameProcessorSetup) -> None:  # type: ignore[override]
        """Have the client ready before the first sentence."""
        await super().setup(setup)
        await self._client.get()

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Audio frames as Polly's pieces arrive."""
        await self.start_tts_usage_metrics(text)
        mulaw = self._rate_hz == MULAW_HZ
        try:
            client = await self._client.get()
            answer = await client.synthesize_speech(**self._request(text, mulaw))
            async with answer["AudioStream"] as stream:
                async for pcm in pcm16(stream.iter_chunks(PIECE), mulaw=mulaw):
                    yield TTSAudioRawFrame(pcm, self._rate_hz, 1, context_id=context_id)
        except FAILURES as error:
            yield error_frame(error)

    def _request(self, text: str, mulaw: bool) -> dict[str, Any]:
        request = {
            "Engine": self._settings.engine,
            "LexiconNames": self._settings.lexicon_names,
            "OutputFormat": "mulaw" if mulaw else "pcm",
            "SampleRate": str(self._rate_hz),
            "Text": self._construct_ssml(text),
            "TextType": "ssml",
            "VoiceId": self._settings.voice,
        }
        return {name: value for name, value in request.items() if value is not None}
