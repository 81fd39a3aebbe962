"""The local voice as a Pipecat service: audio at the line's rate, its words' times ahead of it.

Its frames go on to the phone transport in `speech/`, which knows from `WordTimesFrame` which words
the caller has heard when the reply is interrupted.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame, TTSAudioRawFrame
from pipecat.services.settings import TTSSettings
from pipecat.services.tts_service import TTSService

from telebot.call.errors import ProviderError
from telebot.providers.frames import WordTimesFrame
from telebot.providers.resources import Resources
from telebot.providers.synthesiser import PHONE_RATE_HZ, TextToSpeech, check_voice
from telebot.providers.vendor import check_known
from telebot.providers.voice import VOICE_RATE_HZ, VOICES

WIDE: Mapping[str, Mapping[str, Any]] = {"tts": {"rate_hz": VOICE_RATE_HZ}}


class LocalTTSService(TTSService):
    """Speaks with the process's voice; each sentence is one audio frame, whole.

    Raises ProviderConfigError for a voice that is not there.
    """

    def __init__(
        self, speech: TextToSpeech, *, voice: str = VOICES[0], rate_hz: int = PHONE_RATE_HZ
    ) -> None:
        super().__init__(
            push_start_frame=True,
            push_stop_frames=True,
            sample_rate=rate_hz,
            max_consecutive_zero_audio_contexts=0,  # "..." has no sound and is no fault
            settings=TTSSettings(model="hibari", voice=check_voice(voice), language=None),
        )
        self._speech = speech
        self._voice = voice
        self._rate_hz = rate_hz

    def can_generate_metrics(self) -> bool:
        return True

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """A `WordTimesFrame` and a `TTSAudioRawFrame` for each sentence of `text`."""
        await self.start_tts_usage_metrics(text)
        try:
            async for clip in self._speech.stream(text, voice=self._voice, rate_hz=self._rate_hz):
                yield WordTimesFrame(context_id, clip.spoken.words, clip.audio_s)
                yield TTSAudioRawFrame(clip.pcm16, clip.rate_hz, 1, context_id=context_id)
        except ProviderError as error:
            yield ErrorFrame(error=str(error), exception=error)


def build(options: Mapping[str, Any], resources: Resources) -> LocalTTSService:
    """`tts: local`, or `{service: local, voice: heart}`."""
    check_known("option", options, ("voice", *WIDE["tts"]), "local")
    return LocalTTSService(
        resources.local.tts,
        voice=str(options.get("voice", VOICES[0])),
        rate_hz=int(options.get("rate_hz", PHONE_RATE_HZ)),
    )
