"""Azure's speech service for work that is no call: fast transcription of recordings.

https://learn.microsoft.com/azure/ai-services/speech-service/fast-transcription-create,
https://learn.microsoft.com/rest/api/speechtotext/transcriptions/transcribe. One request, at most
two hours and 300 MB; the host is the region's for all of Azure's AI, or the resource's own domain.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.azure import VENDOR
from telebot.providers.azure_rest import key_headers
from telebot.providers.clips import HearingAbility, Recording, Transcript, Use, Word
from telebot.providers.locale import locale
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import KEYS, VendorHttp, file_form

WHO = "azure"
STT_MODEL = "fast-transcription"
PATH = "/speechtotext/transcriptions:transcribe?api-version=2024-11-15"
LONGEST_S = 7000.0
MOST_SPEAKERS = 10


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


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> AzureTranscriber:
    """`base_url`, `api_key_env`; the region is AZURE_REGION. Raises ProviderConfigError."""
    vendor.check_known("key", options, KEYS, WHO)
    if (options.get("model") or STT_MODEL) != STT_MODEL:
        raise ProviderConfigError(f"{WHO} transcribes recordings by {STT_MODEL} alone")
    region = resources.environ.get("AZURE_REGION")
    if not (region or options.get("base_url") or resources.environ.get(f"{VENDOR}_BASE_URL")):
        raise ProviderConfigError(f"{WHO} needs AZURE_REGION, e.g. westeurope")
    host = f"https://{region}.api.cognitive.microsoft.com"
    url = vendor.vendor_url(options, resources.environ, VENDOR, host)
    key = vendor.vendor_key(options, resources.environ, VENDOR)
    return AzureTranscriber(VendorHttp(resources, WHO, url, key_headers(key)))


class AzureTranscriber:
    """A `Transcriber`."""

    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )
    longest_s = LONGEST_S
    model = STT_MODEL

    def __init__(self, http: VendorHttp) -> None:
        self._http = http

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
        sure = [each.confidence for each in found.phrases if each.confidence is not None]
        locales = [each.locale for each in found.phrases if each.locale]
        return Transcript(
            " ".join(each.text.strip() for each in found.combinedPhrases).strip(),
            locales[0] if locales else recording.language,
            round(sum(sure) / len(sure), 4) if sure else None,
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
