"""Resemble AI for work that is no call: texts to sound, streamed as a WAV file.

https://docs.resemble.ai/voice-generation/text-to-speech/streaming-http (POST /stream on the
synthesis cluster: `voice_uuid`, `data`, `precision`, `sample_rate`, `model`),
https://docs.resemble.ai/getting-started/model-versions (at most 2000 characters of
any model). Every account has voices of its own, so RESEMBLE_VOICE names the usual one by its uuid;
without it a request must name one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.clips import Script, SpeakingAbility, lost
from telebot.providers.failure import Cause
from telebot.providers.http_voice import HttpVoice
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import account, bearer

URL = "https://f.cluster.resemble.ai"
MODEL = "default"  # the voice's own
RATE_HZ = 32_000


def build_speaker(options: Mapping[str, Any], resources: Resources) -> ResembleVoice:
    """`model`, `voice`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    keys = vendor.VOICE_KEYS
    http = account(options, resources, name="RESEMBLE", url=URL, headers=bearer, keys=keys)
    voice = options.get("voice") or resources.environ.get("RESEMBLE_VOICE")
    return ResembleVoice.of(http, {**options, "voice": voice})


class ResembleVoice(HttpVoice):
    """A `Speaker`; a cloned voice's uuid is a voice."""

    usual = MODEL, ""
    longest = 2000
    rate_hz = RATE_HZ
    abilities: frozenset[SpeakingAbility] = frozenset({"any_voice"})

    def request(self, script: Script) -> tuple[str, dict[str, Any]]:
        voice = script.voice or self.voice
        if not voice:
            raise lost(Cause.BAD_REQUEST, f"{self._http.who} needs a voice")
        body: dict[str, Any] = {
            "voice_uuid": voice,
            "data": script.text,
            "precision": "PCM_16",
            "sample_rate": RATE_HZ,
        }
        if self.model != MODEL:
            body["model"] = self.model
        return "/stream", {"json": {**body, **script.options}}
