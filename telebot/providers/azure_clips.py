"""Azure's speech service for work that is no call: fast transcription, and its neural voices.

https://learn.microsoft.com/azure/ai-services/speech-service/fast-transcription-create,
https://learn.microsoft.com/rest/api/speechtotext/transcriptions/transcribe. One request, at most
two hours and 300 MB; the host is the region's for all of Azure's AI, or the resource's own domain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, RootModel

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.azure import VENDOR
from telebot.providers.azure_rest import TTS_PATH, VOICE, VOICES_PATH, key_headers, ssml
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    Use,
    VoiceRow,
    Word,
    mean,
)
from telebot.providers.http_hearing import HttpTranscriber
from telebot.providers.http_voice import HttpVoice
from telebot.providers.locale import locale
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp, account, file_form

WHO = "azure"
STT_MODEL = "fast-transcription"
PATH = "/speechtotext/transcriptions:transcribe?api-version=2024-11-15"
MOST_SPEAKERS = 10
TTS_MODEL = "neural"
RATE_HZ = 24_000


class _Word(BaseModel):
    text: str
    offsetMilliseconds: float  # the vendor's names
    durationMilliseconds: float


class _Phrase(BaseModel):
    confidence: float | None = None
    locale: str | None = None
    speaker: int | None = None
    words: list[_Word] = []


class _Combined(BaseModel):
    text: str


class _Transcript(BaseModel):
    durationMilliseconds: float
    combinedPhrases: list[_Combined]
    phrases: list[_Phrase] = []


class _Voice(BaseModel):
    ShortName: str
    DisplayName: str = ""
    Locale: str | None = None
    Gender: str = ""


class _Voices(RootModel[list[_Voice]]):
    """The region's."""


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> AzureTranscriber:
    """`base_url`, `api_key_env`; the region is AZURE_REGION. Raises ProviderConfigError."""
    if (options.get("model") or STT_MODEL) != STT_MODEL:
        raise ProviderConfigError(f"{WHO} transcribes recordings by {STT_MODEL} alone")
    host = "api.cognitive.microsoft.com"
    return AzureTranscriber.of(_account(options, resources, host, vendor.MODEL_KEYS), options)


def build_speaker(options: Mapping[str, Any], resources: Resources) -> AzureVoice:
    """`voice`, `base_url`, `api_key_env`; a `model` is a voice. Raises ProviderConfigError."""
    http = _account(options, resources, "tts.speech.microsoft.com", vendor.VOICE_KEYS)
    model = str(options.get("model") or TTS_MODEL)
    voice = options.get("voice") or (VOICE if model == TTS_MODEL else model)
    return AzureVoice.of(http, {**options, "voice": voice})


def _account(
    options: Mapping[str, Any], resources: Resources, host: str, keys: tuple[str, ...]
) -> VendorHttp:
    region = resources.environ.get("AZURE_REGION")
    if not (region or options.get("base_url") or resources.environ.get(f"{VENDOR}_BASE_URL")):
        raise ProviderConfigError(f"{WHO} needs AZURE_REGION, e.g. westeurope")
    url = f"https://{region}.{host}"
    return account(options, resources, name=VENDOR, url=url, headers=key_headers, keys=keys)


class AzureTranscriber(HttpTranscriber):
    """A `Transcriber`."""

    usual = STT_MODEL
    longest_s = 7000.0
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request; without a language the vendor finds it out."""
        wanted: dict[str, Any] = {"profanityFilterMode": "None"}
        if recording.language:
            wanted["locales"] = [locale(recording.language)]
        if recording.speakers:
            wanted["diarization"] = {"enabled": True, "maxSpeakers": MOST_SPEAKERS}
        definition = json.dumps({**wanted, **recording.options})
        form = file_form("audio", recording.sound.wav(), definition=definition)
        found = await self._http.read(_Transcript, "POST", PATH, data=form)
        locales = [each.locale for each in found.phrases if each.locale]
        return Transcript(
            " ".join(each.text.strip() for each in found.combinedPhrases).strip(),
            locales[0] if locales else recording.language,
            mean(each.confidence for each in found.phrases),
            tuple(_words(found)),
            (Use(found.durationMilliseconds / 1000, "s"),),
        )


def _words(found: _Transcript) -> Iterator[Word]:
    """The vendor tells how sure it is of a phrase, not of a word."""
    for phrase in found.phrases:
        speaker = None if phrase.speaker is None else str(phrase.speaker)
        for word in phrase.words:
            end_ms = word.offsetMilliseconds + word.durationMilliseconds
            yield Word(word.text, word.offsetMilliseconds / 1000, end_ms / 1000, None, speaker)


class AzureVoice(HttpVoice):
    """A `Speaker` that `ListsVoices`."""

    usual = TTS_MODEL, VOICE
    # characters: far less than the ten minutes of sound that one request may give
    longest = 3000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language", "speed"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        rate = "" if script.speed == 1.0 else f"{round((script.speed - 1) * 100):+d}%"
        language = locale(script.language) if script.language else ""
        headers = {
            "Content-Type": "application/ssml+xml",
            "X-Microsoft-OutputFormat": "raw-24khz-16bit-mono-pcm",
        }
        body = ssml(script.text, script.voice or self.voice, language, rate)
        return TTS_PATH, {"data": body, "headers": headers}

    async def voices(self) -> list[VoiceRow]:
        """The region's."""
        found = await self._http.read(_Voices, "GET", VOICES_PATH)
        return [
            VoiceRow(each.ShortName, each.DisplayName, each.Locale, each.Gender.lower() or None)
            for each in found.root
        ]
