"""Amazon Polly for work that is no call, by aiobotocore as for the calls.

https://docs.aws.amazon.com/polly/latest/dg/API_SynthesizeSpeech.html (at most 3000 characters that
are billed). A model is an engine.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import TYPE_CHECKING, Any

from telebot.providers import vendor
from telebot.providers.asking import whole_samples
from telebot.providers.clips import (
    ClipFailed,
    Script,
    SpeakingAbility,
    Use,
    VoiceRow,
    characters,
)
from telebot.providers.failure import of_error
from telebot.providers.polly import ENGINE, VOICE, client, voices_of
from telebot.providers.resources import Resources

if TYPE_CHECKING:
    from telebot.providers.polly_client import PollyClient

LONGEST = 3000
RATE_HZ = 16_000  # the most that it gives as PCM
PIECE = 3200  # bytes: 0.1 s


def build_speaker(options: Mapping[str, Any], resources: Resources) -> PollyVoice:
    """`model`, `voice`, `base_url`, `api_key_env: null`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.VOICE_KEYS, "polly")
    model, voice = str(options.get("model") or ENGINE), str(options.get("voice") or VOICE)
    return PollyVoice(client(options, resources), model, voice)


class PollyVoice:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset()

    def __init__(self, polly: PollyClient, model: str, voice: str) -> None:
        self._polly = polly
        self._voice = voice
        self.model = model

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        from telebot.providers.polly_client import FAILURES, error_frame

        wanted = {
            "Engine": self.model,
            "OutputFormat": "pcm",
            "SampleRate": str(RATE_HZ),
            "Text": script.text,
            "VoiceId": script.voice or self._voice,
            **script.options,
        }
        try:
            polly = await self._polly.get()
            answer = await polly.synthesize_speech(**wanted)
            async with answer["AudioStream"] as stream:
                async for piece in whole_samples(stream.iter_chunks(PIECE)):
                    yield piece
        except FAILURES as error:
            frame = error_frame(error)
            raise ClipFailed(of_error(frame), str(frame.error)) from None

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        """Those that speak with the engine."""
        from telebot.providers.polly_client import FAILURES, error_frame

        try:
            rows = await voices_of(await self._polly.get())
        except FAILURES as error:
            frame = error_frame(error)
            raise ClipFailed(of_error(frame), str(frame.error)) from None
        return [
            VoiceRow(
                str(row["Id"]),
                str(row.get("Name", "")),
                row.get("LanguageCode"),
                str(row.get("Gender", "")).lower() or None,
            )
            for row in rows
            if self.model in row.get("SupportedEngines", ())
        ]
