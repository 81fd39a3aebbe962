"""Groq's language models for work that is no call: OpenAI's wire with Groq's models.

https://console.groq.com/docs/openai, https://console.groq.com/docs/structured-outputs (answers by a
schema are not streamed; taken so from memory, the page could not be read here).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import groq, vendor
from telebot.providers.openai_client import shared_client
from telebot.providers.openai_replies import OpenAIReplier
from telebot.providers.replies import Replier
from telebot.providers.resources import Resources


def build_replier(options: Mapping[str, Any], resources: Resources) -> Replier:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, "groq")
    client = shared_client(options, resources, groq.VENDOR, groq.URL)
    model = str(options.get("model") or groq.LLM_MODEL)
    effort = groq.effort(model)
    extra = {} if effort is None else {"reasoning_effort": effort}
    return OpenAIReplier(client, model, "groq", extra=extra, streams_schemas=False)
