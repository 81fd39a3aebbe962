"""Anthropic: language models over the Messages API.

Pipecat's service on Anthropic's own SDK (https://platform.claude.com/docs/en/api/messages). The
default model is the fastest of today's (https://platform.claude.com/docs/en/about-claude/models);
prompt caching spares a long prompt its reading in every turn. Models since the 4.6 generation take
no `temperature`-like settings beyond it and no beginning of their own reply
(https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.probing import get_json, listed
from telebot.providers.resources import Resources

VENDOR = "ANTHROPIC"
URL = "https://api.anthropic.com"
VERSION = "2023-06-01"  # of the API; there has been no later one
LLM = "telebot.providers.anthropic_llm:SharedAnthropicLLMService"
MODEL = "claude-haiku-5-5"


def build_llm(options: Mapping[str, Any], resources: Resources) -> Any:
    """`llm: anthropic`, or `{service: anthropic, model: claude-sonnet-5-5}`."""
    from telebot.providers.anthropic_llm import client

    return vendor.named(
        "llm",
        LLM,
        options,
        resources.environ,
        vendor=VENDOR,
        settings={"model": MODEL, "enable_prompt_caching": True},
        given={"http_client": resources.kept("anthropic http", client)},
    )


async def probe(kind: str, options: Mapping[str, Any], resources: Resources) -> None:
    """Whether the key is taken and the model is there
    (https://platform.claude.com/docs/en/api/models-list)."""
    key, url = vendor.access(options, resources.environ, VENDOR, URL)
    headers = {"x-api-key": key, "anthropic-version": VERSION}
    models = await get_json(resources, f"{url}/v1/models?limit=1000", headers, who="anthropic")
    dated = [str(each.get("id")) for each in models.get("data", ())]
    # a dated model answers to its name without the date too
    names = {*dated, *(re.sub(r"-\d{8}$", "", name) for name in dated)}
    listed("anthropic", "model", vendor.chosen(options, "model", MODEL), sorted(names))
