"""OpenAI: language models, voices, and recognition (streamed over its realtime socket, or a file an
utterance).

Pipecat's services on OpenAI's own SDK. Voices come at 24 kHz whatever is asked
(https://platform.openai.com/docs/api-reference/audio/createSpeech), recognition takes PCM at 24 kHz
or 8 kHz G.711 (https://platform.openai.com/docs/guides/realtime-transcription).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "OPENAI"
URL = "https://api.openai.com/v1"
LLM = "telebot.providers.openai_llm:SharedOpenAILLMService"
TTS = "pipecat.services.openai.tts:OpenAITTSService"
LLM_MODEL = "gpt-4.1-mini"
TTS_MODEL = "gpt-4o-mini-tts"
TTS_VOICE = "alloy"
TTS_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
)  # fmt: skip


def openai_http(resources: Resources) -> Any:
    """The process's HTTP client for OpenAI's SDK."""
    from telebot.providers.openai_llm import client

    return resources.kept("openai http", client)


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`llm: openai`, or `{service: openai, model: gpt-4.1, settings: {temperature: 0.2}}`."""
    return vendor.named(
        "llm",
        LLM,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": LLM_MODEL},
        given={"http_client": openai_http(resources)},
    )


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: openai`, or `{service: openai, voice: nova, settings: {instructions: …}}`."""
    defaults = {"model": TTS_MODEL, "voice": TTS_VOICE}
    return vendor.named(
        "tts",
        TTS,
        options,
        resources.environ,
        vendor=VENDOR,
        settings=defaults,
        given={"http_client": openai_http(resources)},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there."""
    key = vendor.vendor_key(options, resources.environ, VENDOR)
    url = vendor.vendor_url(options, resources.environ, VENDOR, URL)
    headers = {"Authorization": f"Bearer {key}"}
    models = await get_json(resources, f"{url}/models", headers, who="openai")
    wanted = {"llm": LLM_MODEL, "tts": TTS_MODEL}.get(kind)
    model = vendor.chosen(options, "model", wanted)
    listed("openai", "model", model, [str(each.get("id")) for each in models.get("data", ())])
    if kind == "tts":
        listed("openai", "voice", vendor.chosen(options, "voice", TTS_VOICE), TTS_VOICES)
