"""Any server that speaks OpenAI's chat completions, for work that is no call.

As `openai_compatible.py` has it for the calls: `base_url` (else ``OPENAI_COMPATIBLE_BASE_URL``) and
`model`; a key where there is one. Such servers know `max_tokens`
(https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html,
https://docs.ollama.com/api/openai-compatibility).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telebot.providers import vendor
from telebot.providers.openai_client import shared_client
from telebot.providers.openai_compatible import NAME, VENDOR, address
from telebot.providers.openai_replies import OpenAIReplier
from telebot.providers.replies import Replier
from telebot.providers.resources import Resources

LIMIT = "max_tokens"


def build_replier(options: Mapping[str, Any], resources: Resources) -> Replier:
    """`base_url`, `model`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, NAME)
    address(options, resources, "llm")
    known = f"{VENDOR}_API_KEY"
    keyed = {"api_key_env": known if resources.environ.get(known) else None, **options}
    client = shared_client(keyed, resources, VENDOR, "https://unset/v1")
    return OpenAIReplier(client, str(options["model"]), NAME, limit=LIMIT)
