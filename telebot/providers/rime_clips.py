"""Rime for work that is no call: texts to sound over plain HTTP.

https://docs.rime.ai/api-reference/tts (`Accept` chooses the format, at most 1000 characters),
https://docs.rime.ai/api-reference/data/voices-v2. A voice that there is not is spoken by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import RootModel

from telebot.providers import vendor
from telebot.providers.clips import Script, SpeakingAbility, VoiceRow
from telebot.providers.http_voice import HttpVoice
from telebot.providers.locale import primary
from telebot.providers.resources import Resources
from telebot.providers.rime import DATA_URL, TTS_MODEL, TTS_VOICE, VENDOR
from telebot.providers.vendor_http import account, bearer

RATE_HZ = 24_000


class _Voices(RootModel[dict[str, dict[str, list[str]]]]):
    """Model, language, names."""


def build_speaker(options: Mapping[str, Any], resources: Resources) -> RimeSpeaker:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    keys = vendor.VOICE_KEYS
    http = account(options, resources, name=VENDOR, url=DATA_URL, headers=bearer, keys=keys)
    return RimeSpeaker.of(http.at(http.url.replace("-ws.rime.ai", ".rime.ai")), options)


class RimeSpeaker(HttpVoice):
    """A `Speaker` that `ListsVoices`."""

    usual = TTS_MODEL, TTS_VOICE
    longest = 1000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"language"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "speaker": script.voice or self.voice,
            "text": script.text,
            "modelId": self.model,
            "samplingRate": RATE_HZ,
        }
        if script.language:
            body["lang"] = primary(script.language)
        sound = {"Accept": "audio/pcm"}
        return "/v1/rime-tts", {"json": {**body, **script.options}, "headers": sound}

    async def voices(self) -> list[VoiceRow]:
        """The model's, by the public catalogue."""
        found = await self._http.read(_Voices, "GET", "/data/voices/all-v2.json")
        of_model = found.root.get(self.model, {})
        return [VoiceRow(name, name, said) for said, names in of_model.items() for name in names]
