"""Groq: language models, and Whisper by a file an utterance; both on OpenAI's wire.

https://console.groq.com/docs/openai, https://console.groq.com/docs/speech-to-text
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.openai import openai_http
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "GROQ"
URL = "https://api.groq.com/openai/v1"
LLM = "telebot.providers.groq_services:SharedGroqLLMService"
STT = "telebot.providers.groq_services:GroqFileSTTService"
LLM_MODEL = "openai/gpt-oss-120b"
STT_MODEL = "whisper-large-v3-turbo"
WIDE: Mapping[str, Mapping[str, Any]] = {"stt": {"options": {"sample_rate": 16_000}}}
MODELS = {"llm": LLM_MODEL, "stt": STT_MODEL}
# how much thinking a model is asked for: as little as it allows.
# https://console.groq.com/docs/reasoning
EFFORTS = {"openai/gpt-oss": "low", "qwen/": "none"}


def effort(model: str) -> str | None:
    """The least thinking that a model can be asked for; None where there is nothing to ask."""
    return next((said for name, said in EFFORTS.items() if model.startswith(name)), None)


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`llm: groq`, or `{service: groq, model: openai/gpt-oss-20b}`."""
    least = effort(str(vendor.chosen(options, "model", LLM_MODEL)))
    return vendor.named(
        "llm",
        LLM,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": LLM_MODEL, "reasoning_effort": least},
        given={"http_client": openai_http(resources)},
    )


def build_stt(options: Mapping[str, Any], resources: Resources) -> Any:
    """`stt: groq`, or `{service: groq, model: whisper-large-v3, language: de}`."""
    return vendor.named(
        "stt",
        STT,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": STT_MODEL},
        given={"http_client": openai_http(resources)},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the model is there and in service."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    headers = {"Authorization": f"Bearer {key}"}
    models = await get_json(resources, f"{url}/models", headers, who="groq")
    active = [str(m.get("id")) for m in models.get("data", ()) if m.get("active", True)]
    listed("groq", "model", vendor.chosen(options, "model", MODELS[kind]), active)
