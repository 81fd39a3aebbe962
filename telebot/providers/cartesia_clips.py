"""Cartesia for work that is no call: Ink for recordings, Sonic for texts, over plain HTTP.

https://docs.cartesia.ai/api-reference/stt/transcribe (`ink-whisper` is the model for recordings),
https://docs.cartesia.ai/api-reference/tts/bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from telebot.providers import vendor
from telebot.providers.cartesia import STT_MODEL, TTS_MODEL, TTS_VOICE, URL, VENDOR, VERSION
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    Use,
    VoiceRow,
    Word,
)
from telebot.providers.http_hearing import HttpTranscriber
from telebot.providers.http_voice import HttpVoice
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, bearer, file_form

RATE_HZ = 24_000
SLOWEST, FASTEST = 0.6, 1.5  # of the vendor's voices; what is asked beyond is held there


class _Word(BaseModel):
    word: str
    start: float
    end: float


class _Heard(BaseModel):
    text: str
    language: str | None = None
    duration: float | None = None
    words: list[_Word] | None = None


class _Voice(BaseModel):
    id: str
    name: str = ""
    language: str | None = None
    gender: str | None = None


class _Voices(BaseModel):
    data: list[_Voice]


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> InkTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = account(options, resources, name=VENDOR, url=URL, headers=_headers)
    return InkTranscriber.of(http, options)


def build_speaker(options: Mapping[str, Any], resources: Resources) -> SonicVoice:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    keys = vendor.VOICE_KEYS
    http = account(options, resources, name=VENDOR, url=URL, headers=_headers, keys=keys)
    return SonicVoice.of(http, options)


def _headers(key: str) -> dict[str, str]:
    return {**bearer(key), "Cartesia-Version": VERSION}


class InkTranscriber(HttpTranscriber):
    """A `Transcriber`."""

    usual = STT_MODEL
    longest_s = 3600.0
    abilities: frozenset[HearingAbility] = frozenset({"language", "words"})

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request."""
        fields = {"model": self.model}
        if recording.language:
            fields["language"] = primary(recording.language)
        if recording.words:
            fields["timestamp_granularities[]"] = "word"
        fields |= {str(name): str(value) for name, value in recording.options.items()}
        form = file_form("file", recording.sound.wav(), **fields)
        found = await self._http.read(_Heard, "POST", "/stt", data=form)
        return Transcript(
            found.text.strip(),
            found.language or recording.language,
            None,
            tuple(Word(each.word.strip(), each.start, each.end) for each in found.words or ()),
            (Use(found.duration or recording.sound.seconds, "s"),),
        )


class SonicVoice(HttpVoice):
    """A `Speaker` that `ListsVoices`; a cloned voice's id is a voice."""

    usual = TTS_MODEL, TTS_VOICE
    longest = 5000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language", "speed", "any_voice"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        sound = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE_HZ}
        body: dict[str, Any] = {
            "model_id": self.model,
            "transcript": script.text,
            "voice": {"mode": "id", "id": script.voice or self.voice},
            "output_format": sound,
        }
        if script.language:
            body["language"] = primary(script.language)
        if script.speed != 1.0:
            speed = min(FASTEST, max(SLOWEST, script.speed))
            body["generation_config"] = {"speed": speed}
        return "/tts/bytes", {"json": {**body, **script.options}}

    async def voices(self) -> list[VoiceRow]:
        """By `GET /voices`, the first hundred."""
        found = await self._http.read(_Voices, "GET", "/voices?limit=100")
        return [VoiceRow(each.id, each.name, each.language, each.gender) for each in found.data]
