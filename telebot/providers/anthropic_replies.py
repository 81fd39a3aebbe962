"""Anthropic's messages for work that is no call, on Anthropic's own SDK.

https://platform.claude.com/docs/en/api/messages, …/docs/en/build-with-claude/structured-outputs
(`output_config.format`); what a model takes: …/docs/en/models/haiku-5-5/migration-guide.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx
from anthropic import (
    APIError,
    APIStatusError,
    APITimeoutError,
    AsyncAnthropic,
    transform_schema,
)

from telebot.providers import anthropic as vendor_file
from telebot.providers import vendor
from telebot.providers.anthropic_llm import TIMEOUT, category, client, whole
from telebot.providers.asking import failure_of_status
from telebot.providers.clips import ClipFailed, Use, lost
from telebot.providers.failure import CAUSES, Cause, Failure, retry_after
from telebot.providers.replies import Finished, Question, Replier, ReplyingAbility, tokens
from telebot.providers.resources import Resources

DEARER = frozenset({"speed", "inference_geo"})  # options that cost more than the model's price
# these take a temperature; later ones refuse it
SAMPLED = re.compile(r"claude-(?:3|[a-z]+-4)")
# how the later ones are told not to think before they speak, which would cost seconds
AT_ONCE: Mapping[str, Mapping[str, Any]] = {
    "claude-opus-5-5": {"output_config": {"effort": "low"}},
    "claude-sonnet-5-5": {"thinking": {"type": "between_tools"}},
    "claude-opus-5": {"thinking": {"type": "disabled"}},
    "claude-sonnet-5": {"thinking": {"type": "disabled"}},
    "claude-haiku-5-5": {"thinking": {"type": "disabled"}},
}


def build_replier(options: Mapping[str, Any], resources: Resources) -> Replier:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, "anthropic")
    key, url = vendor.access(options, resources.environ, vendor_file.VENDOR, vendor_file.URL)
    sdk = AsyncAnthropic(
        api_key=key,
        base_url=url,
        http_client=resources.kept("anthropic http", client),
        timeout=TIMEOUT,
        max_retries=0,
    )
    return AnthropicReplier(sdk, str(options.get("model") or vendor_file.MODEL))


class AnthropicReplier:
    """A `Replier`."""

    def __init__(self, sdk: AsyncAnthropic, model: str) -> None:
        self._sdk = sdk
        self.model = model
        self.abilities: frozenset[ReplyingAbility] = frozenset(
            {"schema", "temperature"} if SAMPLED.match(model) else {"schema"}
        )

    async def reply(self, question: Question) -> AsyncIterator[str | Finished]:
        counted: dict[str, int] = {}
        stop = None
        with _failing():
            stream: Any = await self._sdk.messages.create(**self._asked(question), stream=True)
            async with stream:
                async for event in whole(stream):
                    if event.type == "message_start":
                        counted |= _counts(event.message.usage)
                    elif event.type == "message_delta":
                        counted |= _counts(event.usage)
                        stop = event.delta.stop_reason
                    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
                        yield event.delta.text
        yield Finished(_uses(counted) if counted else None, cut=stop == "max_tokens")

    def _asked(self, question: Question) -> dict[str, Any]:
        body: dict[str, Any] = {key: dict(told) for key, told in self._at_once().items()}
        if question.temperature is not None and "temperature" in self.abilities:
            body["temperature"] = min(question.temperature, 1.0)
        if question.schema is not None:
            form = {"type": "json_schema", "schema": transform_schema(_plain(question.schema))}
            body["output_config"] = {**body.get("output_config", {}), "format": form}
        asked: dict[str, Any] = {
            "model": self.model,
            "max_tokens": question.most_tokens,
            "messages": [{"role": each.role, "content": each.text} for each in question.turns],
        }
        if system := question.instructions:
            asked["system"] = system
        extra = {
            name: value
            for name, value in question.options.items()
            if name not in asked and name not in DEARER
        }
        return {**asked, "extra_body": {**extra, **body}}

    def _at_once(self) -> Mapping[str, Any]:
        return AT_ONCE.get(re.sub(r"-\d{8}$", "", self.model), {})


@contextmanager
def _failing() -> Iterator[None]:
    """Errors of the SDK, and answers that cannot be read, as `ClipFailed`."""
    try:
        yield
    except APITimeoutError as error:
        raise lost(Cause.SLOW_FIRST, "anthropic does not answer in time") from error
    except (APIError, httpx.HTTPError, httpx.StreamError, ValueError) as error:
        told = category(error)
        if told is not None:
            failure = Failure(CAUSES.get(told, Cause.ERROR), retry_after(error))
        elif isinstance(error, APIStatusError):
            failure = failure_of_status(error.status_code, error)
        else:
            failure = Failure(Cause.ERROR)
        raise ClipFailed(failure, f"anthropic: {type(error).__name__}") from error


def _plain(schema: Any) -> Any:
    """The schema without lists of types, which the SDK does not know: ``anyOf`` says the same."""
    if isinstance(schema, list):
        return [_plain(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    rest = {name: _plain(part) for name, part in schema.items() if name != "type"}
    kinds = schema.get("type")
    if not isinstance(kinds, list):
        return rest if kinds is None else {"type": kinds, **rest}
    return {"anyOf": [{"type": kind, **(rest if kind != "null" else {})} for kind in kinds]}


def _counts(usage: Any) -> dict[str, int]:
    """What is told of the counts; a reply tells some at its beginning, the rest at its end."""
    names = (
        "input_tokens",
        "output_tokens",
        "cache_creation_input_tokens",
        "cache_read_input_tokens",
    )
    told = {name: getattr(usage, name, None) for name in names}
    return {name: count for name, count in told.items() if isinstance(count, int)}


def _uses(counted: Mapping[str, int]) -> tuple[Use, ...]:
    """`input_tokens` are those that no cache has to do with."""
    cached = counted.get("cache_read_input_tokens", 0)
    fresh = counted.get("input_tokens", 0) + counted.get("cache_creation_input_tokens", 0)
    return tokens(fresh + cached, counted.get("output_tokens", 0), cached)
