"""OpenAI: language models, voices, and recognition (streamed over its realtime socket, or a file an
utterance).

Pipecat's services on OpenAI's own SDK. Voices come at 24 kHz whatever is asked
(https://platform.openai.com/docs/api-reference/audio/createSpeech), streamed recognition takes the
phone's 8 kHz mu-law, or PCM at 24 kHz
(https://developers.openai.com/api/docs/guides/realtime-transcription).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.probing import get_json, listed, still_there
from telebot.providers.resources import Resources

VENDOR = "OPENAI"
URL = "https://api.openai.com/v1"
SOCKET = "wss://api.openai.com/v1"
LLM = "telebot.providers.openai_llm:SharedOpenAILLMService"
TTS = "telebot.providers.openai_tts:SharedOpenAITTSService"
STT = "telebot.providers.openai_stt:OpenAIStreamingSTTService"
FILE_STT = "telebot.providers.openai_files:OpenAIFileSTTService"
LLM_MODEL = "gpt-6-luna"
TTS_MODEL = "gpt-4o-mini-tts"
TTS_VOICE = "alloy"
STT_MODEL = "gpt-live-transcribe"
FILE_STT_MODEL = "gpt-transcribe"
TTS_HZ = 24000
WIDE: Mapping[str, Mapping[str, Any]] = {"stt": {"options": {"sample_rate": 16_000}}}
# models that think before they speak, unless they are asked not to: a caller would hear nothing
# for seconds. https://developers.openai.com/api/docs/models/gpt-6-luna
THINKING = ("gpt-5.", "gpt-6")
AT_ONCE = {"reasoning_effort": "none"}
TTS_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage",
    "shimmer", "verse",
)  # fmt: skip
# these take no files
STREAMING = ("gpt-live-transcribe", "gpt-realtime-whisper")
MODELS = {"llm": LLM_MODEL, "tts": TTS_MODEL}


def openai_http(resources: Resources) -> Any:
    """The process's HTTP client for OpenAI's SDK."""
    from telebot.providers.openai_llm import client

    return resources.kept("openai http", client)


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`llm: openai`, or `{service: openai, model: gpt-4.1, settings: {temperature: 0.2}}`."""
    model = vendor.chosen(options, "model", LLM_MODEL)
    at_once = {"extra": dict(AT_ONCE)} if str(model).startswith(THINKING) else {}
    return vendor.named(
        "llm",
        LLM,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": LLM_MODEL, **at_once},
        given={"http_client": openai_http(resources)},
    )


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`tts: openai`, or `{service: openai, voice: nova, settings: {instructions: …}}`."""
    return vendor.named(
        "tts",
        TTS,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": TTS_MODEL, "voice": TTS_VOICE},
        options={"sample_rate": TTS_HZ},
        given={"http_client": openai_http(resources)},
    )


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: openai`, or `{service: openai, model: gpt-realtime-whisper, language: de}`."""
    url = vendor.vendor_url(options, resources.environ, VENDOR, SOCKET)
    socket = url if url.endswith("/realtime") else f"{url}/realtime"
    return vendor.named(
        "stt",
        STT,
        {**options, "base_url": socket},
        resources.environ,
        vendor=VENDOR,
        settings={"model": STT_MODEL},
    )


def build_segmented_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: openai-whisper`, or `{service: openai-whisper, language: de, settings: {prompt: …}}`:
    the audio of an utterance is sent when it is over."""
    model = vendor.chosen(options, "model")
    if model in STREAMING:
        raise ProviderConfigError(f"openai's {model} only streams; write `stt: openai` with it")
    return vendor.named(
        "stt",
        FILE_STT,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": FILE_STT_MODEL},
        given={"http_client": openai_http(resources)},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken, and the model and the voice are there."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    url = url.removesuffix("/realtime")
    headers = {"Authorization": f"Bearer {key}"}
    models = await get_json(resources, f"{url}/models", headers, who="openai")
    model = vendor.chosen(options, "model", MODELS.get(kind))
    listed("openai", "model", model, [str(each.get("id")) for each in models.get("data", ())])
    for each in models.get("data", ()):
        if each.get("id") == model:
            still_there("openai", "model", model, each.get("shutdown_date"))
    if kind == "tts":
        listed("openai", "voice", vendor.chosen(options, "voice", TTS_VOICE), TTS_VOICES)
