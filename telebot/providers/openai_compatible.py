"""Any server that speaks OpenAI's wire: language models and voices by `base_url` and `model`.

vLLM (https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html), Ollama
(https://docs.ollama.com/api/openai-compatibility), LM Studio
(https://lmstudio.ai/docs/developer/openai-compat), OpenRouter (https://openrouter.ai/docs) and
speech servers with ``/audio/speech``. `api_key_env` names the variable of the key where the server
wants one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.call.errors import ProviderConfigError
from telebot.providers import vendor
from telebot.providers.openai import TTS_HZ, TTS_VOICE, openai_http
from telebot.providers.probing import NotOffered, get_json, listed
from telebot.providers.resources import Resources

VENDOR = "OPENAI_COMPATIBLE"
NAME = "openai-compatible"
LLM = "telebot.providers.openai_compatible_services:CompatibleLLMService"
TTS = "telebot.providers.openai_compatible_services:CompatibleTTSService"
NO_KEY: Mapping[str, Any] = {"api_key_env": None}


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`{service: openai-compatible, base_url: "http://127.0.0.1:11434/v1", model: "llama3.2"}`."""
    address(options, resources, "llm")
    return vendor.named(
        "llm",
        LLM,
        {**NO_KEY, **options},
        resources.environ,
        vendor=VENDOR,
        given={"http_client": openai_http(resources)},
    )


def build_tts(options: Mapping[str, Any], resources: Resources) -> Any:
    """`{service: openai-compatible, base_url: "http://127.0.0.1:8880/v1", model: kokoro, voice:
    af_heart}`; `options: {sample_rate: 22050}` where the server's raw PCM is not at 24 kHz."""
    address(options, resources, "tts")
    return vendor.named(
        "tts",
        TTS,
        {**NO_KEY, **options},
        resources.environ,
        vendor=VENDOR,
        settings={"voice": TTS_VOICE},
        options={"sample_rate": TTS_HZ},
        given={"http_client": openai_http(resources)},
    )


def address(options: Mapping[str, Any], resources: Resources, kind: str) -> str:
    """The server's address. Raises ProviderConfigError."""
    url = str(options.get("base_url") or resources.environ.get(f"{VENDOR}_BASE_URL", ""))
    if not url:
        raise ProviderConfigError(
            f"speech.{kind}: {NAME} needs the server's address: write `base_url: "
            "http://127.0.0.1:11434/v1`"
        )
    if vendor.chosen(options, "model") is None:
        raise ProviderConfigError(
            f"speech.{kind}: {NAME} needs a model: write `model:` as the server lists it "
            "under /models"
        )
    return url.rstrip("/") if "://" in url else f"https://{url.rstrip('/')}"


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the server takes the key and has the model; one without a list is taken for good."""
    url = address(options, resources, kind)
    key = vendor.vendor_key({**NO_KEY, **options}, resources.environ, VENDOR)
    headers = {"Authorization": f"Bearer {key}"}  # as the calls will send it
    who = f"the server at {url}"
    try:
        models = await get_json(resources, f"{url}/models", headers, who=who)
    except NotOffered:
        return
    data = models.get("data") if isinstance(models, dict) else None
    names = [str(each.get("id")) for each in data or () if isinstance(each, dict)]
    if names:
        listed(who, "model", vendor.chosen(options, "model"), names)
