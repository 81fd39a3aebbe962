"""What Anthropic refuses in a request for a message, in its words.

https://platform.claude.com/docs/en/api/messages, …/api/errors#common-validation-errors; what a
model takes: https://platform.claude.com/docs/en/models/haiku-5-5/migration-guide,
…/docs/en/build-with-claude/mid-conversation-system-messages, and for thinking the models' own
pages as Pipecat's `services/anthropic/llm.py` lists them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from telebot.simulate.tools import objects


@dataclass(frozen=True, slots=True)
class Takes:
    """What a model takes: the beginning of its own reply as the last message, a `system` message
    within the conversation, temperature and the like; and how its thinking is turned off."""

    prefill: bool = False
    system: bool = True
    sampling: bool = False
    unthinking: str | None = "disabled"


OLD = Takes(prefill=True, system=False, sampling=True)
MODELS = {
    "claude-haiku-5-5": Takes(),
    "claude-sonnet-5-5": Takes(unthinking="between_tools"),
    "claude-opus-5-5": Takes(unthinking=None),
    "claude-opus-5": Takes(),
    "claude-sonnet-5": Takes(),
    "claude-sonnet-4-6": Takes(system=False, sampling=True),
    "claude-haiku-4-5-20251001": OLD,
    "claude-sonnet-4-5-20250929": OLD,
}
UNDATED = {re.sub(r"-\d{8}$", "", name): takes for name, takes in MODELS.items()}


class Wrong(Exception):
    """The request is refused with this status and these words."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


def check(body: str) -> dict[str, Any]:
    """The request of a body. Raises `Wrong`."""
    try:
        asked = json.loads(body)
    except ValueError:
        raise Wrong("The request body is not valid JSON") from None
    if not isinstance(asked, dict):
        raise Wrong("The request body must be an object")
    for name in ("model", "max_tokens", "messages"):
        if name not in asked:
            raise Wrong(f"{name}: Field required")
    takes = MODELS.get(asked["model"]) or UNDATED.get(asked["model"])
    if takes is None:
        raise Wrong(f"model: {asked['model']}", 404)
    if type(asked["max_tokens"]) is not int or asked["max_tokens"] < 1:
        raise Wrong("max_tokens: Input should be greater than or equal to 1")
    _check_settings(asked, takes)
    form(asked)
    _check_messages(asked["messages"], takes)
    return asked


def conversation(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as the simulated model reads it: each block of text by itself."""
    return [
        {"role": message["role"], "content": words}
        for message in messages
        for words in _texts(message["content"])
    ]


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [str(block["text"]) for block in content if block.get("type") == "text"]


def _check_settings(asked: Mapping[str, Any], takes: Takes) -> None:
    for name in ("temperature", "top_p", "top_k"):
        if name in asked and not takes.sampling:
            raise Wrong(f"{name}: not supported on this model")
    kind = (asked.get("thinking") or {}).get("type")
    if kind in ("disabled", "between_tools") and kind != takes.unthinking:
        raise Wrong(f'"thinking.type.{kind}" is not supported for this model.')


def form(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of the answer; None where it is free
    (https://platform.claude.com/docs/en/build-with-claude/structured-outputs). Raises `Wrong`."""
    wanted = (asked.get("output_config") or {}).get("format")
    if wanted is None:
        return None
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict) or wanted.get("type") != "json_schema":
        raise Wrong("output_config.format: Input should be a JSON schema")
    for part in objects(schema):
        if part.get("additionalProperties") is not False:
            raise Wrong(
                "output_config.format.schema: For 'object' type, 'additionalProperties' must be "
                "explicitly set to false"
            )
    return schema


def _check_messages(messages: Any, takes: Takes) -> None:
    if not isinstance(messages, list) or not messages:
        raise Wrong("messages: at least one message is required")
    before = None
    for number, message in enumerate(messages):
        _check_message(message, f"messages.{number}", before, takes)
        before = message["role"]
    if before != "assistant":
        return
    if not takes.prefill:
        raise Wrong(
            "This model does not support assistant message prefill. "
            "The conversation must end with a user message."
        )
    if any(words != words.rstrip() for words in _texts(messages[-1]["content"])[-1:]):
        raise Wrong("messages: final assistant content cannot end with trailing whitespace")


def _check_message(message: Any, where: str, before: str | None, takes: Takes) -> None:
    if not isinstance(message, dict):
        raise Wrong(f"{where}: Input should be an object")
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise Wrong(f'{where}.role: Unexpected role "{role}"')
    if role == "system" and not takes.system:
        raise Wrong("role 'system' is not supported on this model")
    if role == "system" and before != "user":
        raise Wrong(f"{where}: a system message must follow a user message")
    if isinstance(content, list):
        if not all(isinstance(block, dict) and "type" in block for block in content):
            raise Wrong(f"{where}.content: Input should be a list of content blocks")
        if any(block["type"] == "text" and not block.get("text") for block in content):
            raise Wrong("messages: text content blocks must be non-empty")
    elif not isinstance(content, str):
        raise Wrong(f"{where}.content: Field required")
    if not content:
        raise Wrong(f"{where}: all messages must have non-empty content")
