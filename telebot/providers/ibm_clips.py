"""IBM Watson for work that is no call: Speech to Text and Text to Speech.

https://cloud.ibm.com/apidocs/speech-to-text#recognize,
https://cloud.ibm.com/apidocs/text-to-speech#synthesize. IBM_API_KEY is an IAM API key, sent as the
password of ``apikey`` (https://cloud.ibm.com/docs/watson?topic=watson-iam); IBM_REGION is the
instances' region. An instance's own address is `base_url`, or IBM_BASE_URL. Not its SDK, which
blocks.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from telebot.providers import vendor
from telebot.providers.clips import (
    HearingAbility,
    Recording,
    Script,
    SpeakingAbility,
    Transcript,
    VoiceRow,
    Word,
    mean,
)
from telebot.providers.http_hearing import HttpTranscriber
from telebot.providers.http_voice import HttpVoice
from telebot.providers.locale import locale
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp, account

WHO = "ibm-watson"
REGION = "us-south"
STT_MODEL = "en-US_Multimedia"
FAMILY = "_Multimedia"  # the models for 16 kHz and more, one a language
TTS_MODEL = "V3"
TTS_VOICE = "en-US_MichaelV3Voice"
RATE_HZ = 22_050
SOUND = f"audio/l16;rate={RATE_HZ};endianness=little-endian"


class _Alternative(BaseModel):
    transcript: str
    confidence: float | None = None
    timestamps: list[tuple[str, float, float]] = []
    word_confidence: list[tuple[str, float]] = []


class _Result(BaseModel):
    alternatives: list[_Alternative]


class _Heard(BaseModel):
    results: list[_Result] = []
    speaker_labels: list[dict[str, Any]] = []


class _Voice(BaseModel):
    name: str
    language: str | None = None
    gender: str | None = None
    description: str = ""


class _Voices(BaseModel):
    voices: list[_Voice]


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> WatsonTranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    http = _account(options, resources, "speech-to-text", vendor.MODEL_KEYS)
    return WatsonTranscriber.of(http, options)


def build_speaker(options: Mapping[str, Any], resources: Resources) -> WatsonVoice:
    """`voice`, `base_url`, `api_key_env`; a `model` is a voice. Raises ProviderConfigError."""
    http = _account(options, resources, "text-to-speech", vendor.VOICE_KEYS)
    model = str(options.get("model") or TTS_MODEL)
    voice = options.get("voice") or (TTS_VOICE if model == TTS_MODEL else model)
    return WatsonVoice.of(http, {**options, "voice": voice})


def _account(
    options: Mapping[str, Any], resources: Resources, service: str, keys: tuple[str, ...]
) -> VendorHttp:
    region = resources.environ.get("IBM_REGION") or REGION
    url = f"https://api.{region}.{service}.watson.cloud.ibm.com"
    return account(options, resources, name="IBM", url=url, headers=_basic, who=WHO, keys=keys)


def _basic(key: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'apikey:{key}'.encode()).decode()}"}


class WatsonTranscriber(HttpTranscriber):
    """A `Transcriber`; the language is the model's, so another one is heard by its own model of
    the same family."""

    usual = STT_MODEL
    longest_s = 1000.0  # 100 MB in one request
    abilities: frozenset[HearingAbility] = frozenset(
        {"language", "words", "confidence", "speakers"}
    )

    async def transcribe(self, recording: Recording) -> Transcript:
        """One request; words always come with their times."""
        model = self.model
        if recording.language and model.endswith(FAMILY):
            model = f"{locale(recording.language)}{FAMILY}"
        wanted: dict[str, Any] = {"model": model, "timestamps": "true", "word_confidence": "true"}
        wanted["smart_formatting"] = "true"
        if recording.speakers:
            wanted["speaker_labels"] = "true"
        found = await self._http.read(
            _Heard,
            "POST",
            f"/v1/recognize?{urlencode({**wanted, **recording.options})}",
            data=recording.sound.wav(),
            headers={"Content-Type": "audio/wav"},
        )
        best = [result.alternatives[0] for result in found.results if result.alternatives]
        return Transcript(
            " ".join(each.transcript.strip() for each in best).strip(),
            model.partition("_")[0],
            mean(each.confidence for each in best),
            tuple(_words(best, _speakers(found))),
        )


def _speakers(found: _Heard) -> dict[float, str]:
    """Speakers by the beginnings of their words."""
    return {
        float(each["from"]): str(each["speaker"])
        for each in found.speaker_labels
        if isinstance(each.get("from"), int | float) and "speaker" in each
    }


def _words(best: list[_Alternative], speakers: Mapping[float, str]) -> Iterator[Word]:
    for each in best:
        sure = [confidence for _, confidence in each.word_confidence]
        for number, (text, start_s, end_s) in enumerate(each.timestamps):
            confidence = sure[number] if number < len(sure) else None
            yield Word(text, start_s, end_s, confidence, speakers.get(start_s))


class WatsonVoice(HttpVoice):
    """A `Speaker` that `ListsVoices`."""

    usual = TTS_MODEL, TTS_VOICE
    longest = 1600  # 5 kB of text, whatever its letters
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"speed"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        wanted: dict[str, Any] = {"voice": script.voice or self.voice}
        if script.speed != 1.0:
            wanted["rate_percentage"] = round((script.speed - 1) * 100)
        path = f"/v1/synthesize?{urlencode({**wanted, **script.options})}"
        return path, {"json": {"text": script.text}, "headers": {"Accept": SOUND}}

    async def voices(self) -> list[VoiceRow]:
        """By `GET /v1/voices`."""
        found = await self._http.read(_Voices, "GET", "/v1/voices")
        return [
            VoiceRow(each.name, each.description.partition(":")[0], each.language, each.gender)
            for each in found.voices
        ]
