"""ElevenLabs for work that is no call, by its own SDK: Scribe for recordings, its voices for texts.

https://elevenlabs.io/docs/api-reference/speech-to-text/convert,
https://elevenlabs.io/docs/api-reference/text-to-speech/stream. A cloned voice's id is a voice.
"""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import VoiceSettings

from telebot.providers import elevenlabs as vendor_file
from telebot.providers import vendor
from telebot.providers.asking import whole_samples
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    Use,
    VoiceRow,
    Word,
    characters,
    lost,
)
from telebot.providers.failure import Cause
from telebot.providers.generated_sdk import ONCE, failing, shared_http
from telebot.providers.locale import primary
from telebot.providers.resources import Resources

WHO = vendor_file.WHO
STT_MODEL = "scribe_v2"
LONGEST_S = 4 * 3600.0
LONGEST = 10_000
RATE_HZ = 24_000
VOICE = re.compile(r"[A-Za-z0-9_-]{1,128}")
SLOWEST, FASTEST = 0.7, 1.2  # of the vendor's voices; what is asked beyond is held there


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> ScribeTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    return ScribeTranscriber(_client(options, resources), str(options.get("model") or STT_MODEL))


def build_speaker(options: Mapping[str, Any], resources: Resources) -> ElevenLabsSpeaker:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    model = str(options.get("model") or vendor_file.TTS_MODEL)
    voice = str(options.get("voice") or vendor_file.TTS_VOICE)
    return ElevenLabsSpeaker(_client(options, resources), model, voice)


def _client(options: Mapping[str, Any], resources: Resources) -> AsyncElevenLabs:
    vendor.check_known("key", options, vendor.VOICE_KEYS, WHO)
    environ = resources.environ
    key, url = vendor.access(options, environ, vendor_file.VENDOR, vendor_file.URL)
    return AsyncElevenLabs(api_key=key, base_url=url, httpx_client=shared_http(resources))


def _with(options: Mapping[str, Any]) -> Any:
    """Options as fields of the body, whatever the SDK knows of them."""
    return {**ONCE, "additional_body_parameters": dict(options)}


class ScribeTranscriber:
    """A `Transcriber`."""

    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )
    longest_s = LONGEST_S

    def __init__(self, client: AsyncElevenLabs, model: str) -> None:
        self._client = client
        self.model = model

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request; words always come with their times."""
        wanted: dict[str, Any] = {"tag_audio_events": False, "timestamps_granularity": "word"}
        if recording.language:
            wanted["language_code"] = primary(recording.language)
        if recording.speakers:
            wanted["diarize"] = True
        with failing(WHO, ApiError):
            answer: Any = await self._client.speech_to_text.convert(
                model_id=self.model,
                file=("audio.wav", recording.sound.wav(), "audio/wav"),
                **wanted,
                request_options=_with(recording.options),
            )
        text = getattr(answer, "text", None)
        if not isinstance(text, str):
            raise lost(Cause.ERROR, f"{WHO} answers without a transcript")
        return Transcript(
            text.strip(), getattr(answer, "language_code", None), None, tuple(_words(answer))
        )


def _words(answer: Any) -> Iterator[Word]:
    for word in getattr(answer, "words", None) or ():
        if word.type == "word" and word.start is not None and word.end is not None:
            sure = None if word.logprob is None else round(math.exp(min(0.0, word.logprob)), 4)
            yield Word(word.text, word.start, word.end, sure, word.speaker_id)


class ElevenLabsSpeaker:
    """A `Speaker` that `ListsVoices`."""

    longest = LONGEST
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language", "speed", "any_voice"})

    def __init__(self, client: AsyncElevenLabs, model: str, voice: str) -> None:
        self._client = client
        self._voice = voice
        self.model = model

    async def speak(self, script: Script) -> AsyncIterator[bytes]:
        """PCM as it comes."""
        voice = script.voice or self._voice
        if not VOICE.fullmatch(voice):  # it becomes a part of the path
            raise lost(Cause.BAD_REQUEST, f"{WHO} has no such voice")
        wanted: dict[str, Any] = {}
        if script.language:
            wanted["language_code"] = primary(script.language)
        if script.speed != 1.0:
            wanted["voice_settings"] = VoiceSettings(speed=min(FASTEST, max(SLOWEST, script.speed)))
        with failing(WHO, ApiError):
            stream = self._client.text_to_speech.stream(
                voice,
                text=script.text,
                model_id=self.model,
                output_format="pcm_24000",
                **wanted,
                request_options=_with(script.options),
            )
            async for piece in whole_samples(stream):
                yield piece

    def uses(self, script: Script) -> tuple[Use, ...]:
        return characters(script)

    async def voices(self) -> list[VoiceRow]:
        """By `GET /v1/voices`."""
        with failing(WHO, ApiError):
            answer = await self._client.voices.get_all(request_options=ONCE)
        rows = []
        for each in answer.voices:
            labels = each.labels or {}
            rows.append(
                VoiceRow(
                    each.voice_id,
                    each.name or "",
                    labels.get("language"),
                    labels.get("gender"),
                    each.preview_url,
                )
            )
        return rows
