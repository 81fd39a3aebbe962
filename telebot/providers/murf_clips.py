"""Murf for work that is no call: texts to sound, streamed.

https://murf.ai/api/docs/api-reference/text-to-speech/stream (`voiceId`, `format`, `sampleRate`,
`channelType`, `rate` in per cent; at most 3000 characters), …/get-voices. Its SDK
(https://github.com/murf-ai/murf-python-sdk, text_to_speech/client.py) names the formats, WAV and
PCM among them, and `locale` in place of `multiNativeLocale`; whether a streamed WAV begins with a
header makes no difference here.
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
from telebot.providers.vendor_http import account

URL = "https://api.murf.ai"
RATE_HZ = 24_000
SLOWEST, FASTEST = -50, 50  # per cent


class _Voice(BaseModel):
    voiceId: str
    displayName: str = ""
    locale: str | None = None
    gender: str = ""


class _Voices(RootModel[list[_Voice]]):
    """All of them."""


def build_speaker(options: Mapping[str, Any], resources: Resources) -> MurfVoice:
    """`model` (``GEN2``, ``FALCON``), `voice`, `base_url`, `api_key_env`. Raises
    ProviderConfigError."""
    http = account(
        options, resources, name="MURF", url=URL, headers=_headers, keys=vendor.VOICE_KEYS
    )
    return MurfVoice.of(http, options)


def _headers(key: str) -> dict[str, str]:
    return {"api-key": key}


class MurfVoice(HttpVoice):
    """A `Speaker` that `ListsVoices`."""

    usual = "GEN2", "en-US-natalie"
    longest = 3000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language", "speed"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "text": script.text,
            "voiceId": script.voice or self.voice,
            "model": self.model,
            "format": "WAV",
            "sampleRate": RATE_HZ,
            "channelType": "MONO",
        }
        if script.language:
            body["locale"] = locale(script.language)
        if script.speed != 1.0:
            body["rate"] = min(FASTEST, max(SLOWEST, round((script.speed - 1) * 100)))
        return "/v1/speech/stream", {"json": {**body, **script.options}}

    async def voices(self) -> list[VoiceRow]:
        """By `GET /v1/speech/voices`."""
        found = await self._http.read(_Voices, "GET", "/v1/speech/voices")
        return [
            VoiceRow(each.voiceId, each.displayName, each.locale, each.gender.lower() or None)
            for each in found.root
        ]
