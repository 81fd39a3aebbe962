"""OpenAI's chat completions for work that is no call, on OpenAI's own SDK; also for the vendors and
servers that copy this wire (`openai_compatible`, Groq).

https://platform.openai.com/docs/api-reference/chat/create (streaming: `stream_options` has the
counts come last), https://platform.openai.com/docs/guides/structured-outputs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import openai

from telebot.providers import openai as vendor_file
from telebot.providers import vendor
from telebot.providers.clips import Use, lost
from telebot.providers.failure import Cause
from telebot.providers.openai_client import failing, shared_client
from telebot.providers.replies import Finished, Question, Replier, ReplyingAbility, strict, tokens
from telebot.providers.resources import Resources

SCHEMA = "answer"  # the name that this wire wants of a schema


def build_replier(options: Mapping[str, Any], resources: Resources) -> Replier:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, "openai")
    client = shared_client(options, resources, vendor_file.VENDOR, vendor_file.URL)
    model = str(options.get("model") or vendor_file.LLM_MODEL)
    at_once = vendor_file.AT_ONCE if model.startswith(vendor_file.THINKING) else {}
    return OpenAIReplier(client, model, "openai", extra=at_once)


class OpenAIReplier:
    """A `Replier`. `limit` is what this server calls the most tokens of an answer, `extra` are
    fields of every request, `streams_schemas` says whether it streams an answer by a schema."""

    abilities: frozenset[ReplyingAbility] = frozenset({"temperature", "schema"})

    def __init__(
        self,
        client: openai.AsyncOpenAI,
        model: str,
        who: str,
        *,
        limit: str = "max_completion_tokens",
        extra: Mapping[str, Any] | None = None,
        streams_schemas: bool = True,
    ) -> None:
        self._client = client
        self._who = who
        self._limit = limit
        self._extra = dict(extra or {})
        self._streams_schemas = streams_schemas
        self.model = model

    async def reply(self, question: Question) -> AsyncIterator[str | Finished]:
        if question.schema is not None and not self._streams_schemas:
            async for piece in self._at_once(question):
                yield piece
            return
        uses: tuple[Use, ...] | None = None
        finish = None
        with failing(self._who):
            stream: Any = await self._client.chat.completions.create(
                **self._asked(question), stream=True, stream_options={"include_usage": True}
            )
            async with stream:
                async for chunk in stream:
                    if chunk.usage is not None:
                        uses = _uses(chunk.usage)
                    for choice in chunk.choices[:1]:
                        finish = choice.finish_reason or finish
                        if choice.delta.content:
                            yield choice.delta.content
        if finish is None:
            raise lost(Cause.STALLED, f"{self._who} ends its stream in the middle")
        yield self._finished(finish, uses)

    async def _at_once(self, question: Question) -> AsyncIterator[str | Finished]:
        """Without a stream."""
        with failing(self._who):
            whole: Any = await self._client.chat.completions.create(**self._asked(question))
        choice = whole.choices[0]
        if choice.message.content:
            yield choice.message.content
        yield self._finished(choice.finish_reason, _uses(whole.usage) if whole.usage else None)

    def _finished(self, finish: str | None, uses: tuple[Use, ...] | None) -> Finished:
        if finish == "content_filter":
            raise lost(Cause.ERROR, f"{self._who} declines to answer")
        return Finished(uses, cut=finish == "length")

    def _asked(self, question: Question) -> dict[str, Any]:
        system = question.instructions
        messages = [{"role": each.role, "content": each.text} for each in question.turns]
        if system:
            messages.insert(0, {"role": "system", "content": system})
        asked: dict[str, Any] = {
            "model": self.model,
            "messages": messages,
            self._limit: question.most_tokens,
        }
        if question.temperature is not None:
            asked["temperature"] = question.temperature
        if question.schema is not None:
            asked["response_format"] = {"type": "json_schema", "json_schema": _named(question)}
        # as fields of the body: an argument that the SDK does not know would be an error of ours
        extra = {name: value for name, value in question.options.items() if name not in asked}
        return {**asked, "extra_body": {**self._extra, **extra}}


def _named(question: Question) -> dict[str, Any]:
    schema = dict(question.schema or {})
    return {"name": SCHEMA, "schema": schema, "strict": strict(schema)}


def _uses(usage: Any) -> tuple[Use, ...]:
    details = getattr(usage, "prompt_tokens_details", None)
    cached = getattr(details, "cached_tokens", None) or 0
    return tokens(usage.prompt_tokens, usage.completion_tokens, cached)
