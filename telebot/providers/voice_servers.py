"""Servers on OpenAI's wire that the operator names in `voice.servers`: providers without a file.

Speaches, Kokoro, vLLM, Ollama, LocalAI and gateways speak it:
https://platform.openai.com/docs/api-reference/audio, …/api-reference/chat
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from telebot.call.errors import ProviderConfigError
from telebot.providers.openai_clips import OpenAISpeaker, OpenAITranscriber
from telebot.providers.openai_wire import account
from telebot.providers.resources import Resources
from telebot.providers.vendor_http import VendorHttp
from telebot.voice_settings import VoiceServer

if TYPE_CHECKING:
    from telebot.providers.openai_replies import OpenAIReplier


def transcriber(
    name: str, server: VoiceServer, model: str | None, resources: Resources
) -> OpenAITranscriber:
    """Raises ProviderConfigError where the server hears nothing, or its key is missing."""
    chosen = model or server.transcribe
    if chosen is None:
        raise ProviderConfigError(f"{name} hears nothing: voice.servers.{name}.transcribe is empty")
    return OpenAITranscriber(_http(name, server, resources), chosen)


def speaker(
    name: str, server: VoiceServer, model: str | None, resources: Resources
) -> OpenAISpeaker:
    """Raises ProviderConfigError where the server speaks nothing, or its key is missing."""
    chosen = model or server.speak
    if chosen is None:
        raise ProviderConfigError(f"{name} speaks nothing: voice.servers.{name}.speak is empty")
    return OpenAISpeaker(_http(name, server, resources), chosen, server.voice)


def replier(
    name: str, server: VoiceServer, model: str | None, resources: Resources
) -> OpenAIReplier:
    """Raises ProviderConfigError where the server answers nothing, or its key is missing."""
    chosen = model or server.chat
    if chosen is None:
        raise ProviderConfigError(f"{name} answers nothing: voice.servers.{name}.chat is empty")
    from telebot.providers.openai_client import shared_client
    from telebot.providers.openai_compatible_replies import LIMIT
    from telebot.providers.openai_replies import OpenAIReplier

    client = shared_client(_options(server), resources, name.upper(), server.base_url)
    return OpenAIReplier(client, chosen, name, limit=LIMIT)


def _http(name: str, server: VoiceServer, resources: Resources) -> VendorHttp:
    return account(_options(server), resources, name.upper(), server.base_url, name)


def _options(server: VoiceServer) -> dict[str, str | None]:
    return {"api_key_env": server.api_key_env, "base_url": server.base_url}
