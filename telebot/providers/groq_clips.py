"""Groq's Whisper for work that is no call: OpenAI's wire with Groq's models.

https://console.groq.com/docs/speech-to-text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import groq, vendor
from telebot.providers.openai_clips import OpenAITranscriber
from telebot.providers.openai_wire import account
from telebot.providers.resources import Resources


def build_transcriber(options: Mapping[str, Any], resources: Resources) -> OpenAITranscriber:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.VOICE_KEYS, "groq")
    http = account(options, resources, groq.VENDOR, groq.URL, "groq")
    return OpenAITranscriber(http, str(options.get("model") or groq.STT_MODEL))
