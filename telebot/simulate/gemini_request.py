"""What Gemini refuses in a request for content, in its words.

https://ai.google.dev/api/generate-content (the request), …/api/caching#Content (roles and parts),
https://ai.google.dev/gemini-api/docs/troubleshooting. Which models refuse a request that ends in
the model's own turn: https://github.com/pipecat-ai/pipecat/pull/5821,
https://github.com/LibreChat-AI/agents/pull/323.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

# model → whether it goes on with the beginning of a reply
MODELS = {
    "gemini-3.8-flash": False,
    "gemini-3.6-flash": False,
    "gemini-3.5-flash": True,
    "gemini-3.5-flash-lite": False,
    "gemini-3.1-flash-lite": True,
    "gemini-2.5-flash-lite": True,
}
LIVE = ("gemini-3.8-live",)
METHODS = ("generateContent", "streamGenerateContent")
FIELDS = (
    "contents", "systemInstruction", "tools", "toolConfig", "safetySettings", "generationConfig",
    "cachedContent",
)  # fmt: skip


class Wrong(Exception):
    """The request is refused with this status and these words."""

    def __init__(self, words: str, status: int = 400) -> None:
        super().__init__(words)
        self.status = status


def check(model: str, method: str, body: str) -> dict[str, Any]:
    """The request of a body. Raises `Wrong`."""
    if model not in MODELS or method not in METHODS:
        raise Wrong(
            f"models/{model} is not found for API version v1beta, or is not supported for "
            f"{method}. Call ModelService.ListModels to see the list of available models and "
            "their supported methods.",
            404,
        )
    try:
        asked = json.loads(body)
    except ValueError:
        raise Wrong("Invalid JSON payload received.") from None
    if not isinstance(asked, dict):
        raise Wrong("Invalid JSON payload received. Root element must be a message.")
    for name in asked:
        if name not in FIELDS:
            raise Wrong(f'Invalid JSON payload received. Unknown name "{name}": Cannot find field.')
    form(asked)
    _check_contents(asked.get("contents"))
    if asked["contents"][-1].get("role") == "model" and not MODELS[model]:
        raise Wrong("Requests ending with a model turn are not supported.")
    return asked


def form(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """The schema of the answer; None where it is free
    (https://ai.google.dev/gemini-api/docs/structured-output). Raises `Wrong`."""
    config = asked.get("generationConfig") or {}
    schema = config.get("responseJsonSchema") or config.get("responseSchema")
    if schema is not None and config.get("responseMimeType") != "application/json":
        raise Wrong("* GenerateContentRequest.generation_config.response_mime_type: must be "
                    "application/json with a response schema\n")  # fmt: skip
    return schema


def _check_contents(contents: Any) -> None:
    if not isinstance(contents, list) or not contents:
        raise Wrong("* GenerateContentRequest.contents: contents is not specified\n")
    for number, content in enumerate(contents):
        if not isinstance(content, dict):
            raise Wrong(f"Invalid value at 'contents[{number}]'")
        if content.get("role", "user") not in ("user", "model"):
            raise Wrong("Please use a valid role: user, model.")
        parts = content.get("parts")
        if not isinstance(parts, list) or not parts:
            raise Wrong(
                f"* GenerateContentRequest.contents[{number}].parts: "
                "contents.parts must not be empty.\n"
            )
        if not all(isinstance(part, dict) and part for part in parts):
            raise Wrong(
                f"* GenerateContentRequest.contents[{number}].parts[0].data: required oneof "
                "field 'data' must have one initialized field\n"
            )


def conversation(contents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The conversation as the simulated model reads it: each part of text by itself."""
    return [
        {
            "role": "assistant" if content.get("role") == "model" else "user",
            "content": part["text"],
        }
        for content in contents
        for part in content["parts"]
        if "text" in part
    ]
