"""Speechify for work that is no call: texts to sound, streamed.

https://docs.speechify.ai/build/guides/text-to-speech/streaming (POST /v1/audio/stream: `input`,
`voice_id`, `model`; `Accept: audio/pcm` gives 16-bit little-endian mono at 24 kHz; at most 20,000
characters). A cloned voice's id is a voice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, RootModel

from telebot.providers import vendor
from telebot.providers.clips import Script, SpeakingAbility, VoiceRow
from telebot.providers.http_voice import HttpVoice
from telebot.providers.locale import locale
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, bearer

URL = "https://api.speechify.ai"
RATE_HZ = 24_000


class _Voice(BaseModel):
    id: str
    display_name: str = ""
    locale: str | None = None
    gender: str | None = None


class _Page(BaseModel):
    voices: list[_Voice]


class _Voices(RootModel[list[_Voice] | _Page]):
    """A list, or a page of one, by the version of the API."""


def build_speaker(options: Mapping[str, Any], resources: Resources) -> SpeechifyVoice:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    keys = vendor.VOICE_KEYS
    http = account(options, resources, name="SPEECHIFY", url=URL, headers=bearer, keys=keys)
    return SpeechifyVoice.of(http, options)


class SpeechifyVoice(HttpVoice):
    """A `Speaker` that `ListsVoices`."""

    usual = "simba-3.2", "harper_32"
    longest = 20_000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language", "any_voice"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "input": script.text,
            "voice_id": script.voice or self.voice,
            "model": self.model,
        }
        if script.language:
            body["language"] = locale(script.language)
        sound = {"Accept": "audio/pcm"}
        return "/v1/audio/stream", {"json": {**body, **script.options}, "headers": sound}

    async def voices(self) -> list[VoiceRow]:
        """By `GET /v1/voices`."""
        found = (await self._http.read(_Voices, "GET", "/v1/voices")).root
        rows = found.voices if isinstance(found, _Page) else found
        return [VoiceRow(each.id, each.display_name, each.locale, each.gender) for each in rows]
