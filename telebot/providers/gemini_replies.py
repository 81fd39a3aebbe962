"""Gemini's content generation for work that is no call, on Google's own SDK.

https://ai.google.dev/api/generate-content (`streamGenerateContent`, `usageMetadata`),
https://ai.google.dev/gemini-api/docs/structured-output (`responseJsonSchema`),
https://ai.google.dev/gemini-api/docs/thinking.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any

import aiohttp
from google.genai import Client
from google.genai.errors import APIError, UnknownApiResponseError
from google.genai.types import (
    FinishReason,
    GenerateContentConfig,
    GenerateContentResponse,
    HttpOptions,
)

from telebot.providers import gemini as vendor_file
from telebot.providers import vendor
from telebot.providers.clips import ClipFailed, Use, lost
from telebot.providers.failure import CAUSES, Cause, Failure
from telebot.providers.gemini_llm import BrokenOff, Declined, category, whole
from telebot.providers.replies import Finished, Question, Replier, ReplyingAbility, tokens
from telebot.providers.resources import Resources

# models that take a temperature: those before 3.5 Flash-Lite (`gemini.py`)
SAMPLED = re.compile(r"gemini-(?:1|2|3\.1|3-|3\.5-flash$)")
# how much thinking each is asked for, as little as it allows; the rest think as they do
AT_ONCE: tuple[tuple[str, Mapping[str, Any]], ...] = (
    (r"gemini-2\.5-flash", {"thinking_budget": 0}),
    (r"gemini-3\.(?:1-flash|5|6)", {"thinking_level": "minimal"}),
    (r"gemini-3\.[78]", {"thinking_level": "low"}),
)
ENDS = {FinishReason.STOP, FinishReason.MAX_TOKENS}


def build_replier(options: Mapping[str, Any], resources: Resources) -> Replier:
    """`model`, `base_url`, `api_key_env`. Raises ProviderConfigError."""
    vendor.check_known("key", options, vendor.MODEL_KEYS, "gemini")
    client = vendor_file.client(options, resources)
    return GeminiReplier(client, str(options.get("model") or vendor_file.MODEL))


class GeminiReplier:
    """A `Replier`."""

    def __init__(self, client: Client, model: str) -> None:
        self._client = client
        self.model = model
        self.abilities: frozenset[ReplyingAbility] = frozenset(
            {"schema", "temperature"} if SAMPLED.match(model) else {"schema"}
        )

    async def reply(self, question: Question) -> AsyncIterator[str | Finished]:
        usage: Any = None
        finish = None
        contents: Any = [
            {
                "role": "model" if each.role == "assistant" else "user",
                "parts": [{"text": each.text}],
            }
            for each in question.turns
        ]
        with _failing():
            chunks = await self._client.aio.models.generate_content_stream(
                model=self.model,
                contents=contents,
                config=self._config(question),
            )
            async with aclosing(_read(chunks)) as read:
                async for chunk in read:
                    usage = chunk.usage_metadata or usage
                    for candidate in (chunk.candidates or ())[:1]:
                        finish = candidate.finish_reason or finish
                        if text := _text(candidate):
                            yield text
        if finish not in ENDS:
            raise lost(Cause.ERROR, "gemini declines to answer")
        yield Finished(_uses(usage), cut=finish is FinishReason.MAX_TOKENS)

    def _config(self, question: Question) -> GenerateContentConfig:
        asked: dict[str, Any] = {"max_output_tokens": question.most_tokens}
        if system := question.instructions:
            asked["system_instruction"] = system
        if question.temperature is not None and "temperature" in self.abilities:
            asked["temperature"] = question.temperature
        if question.schema is not None:
            asked |= {
                "response_mime_type": "application/json",
                "response_json_schema": dict(question.schema),
            }
        for pattern, thinking in AT_ONCE:
            if re.match(pattern, self.model):
                asked["thinking_config"] = dict(thinking)
                break
        if question.options:  # fields of `generationConfig`
            body = {"generationConfig": dict(question.options)}
            asked["http_options"] = HttpOptions(extra_body=body)
        return GenerateContentConfig(**asked)


async def _read(chunks: Any) -> AsyncGenerator[GenerateContentResponse, None]:
    """The chunks of a reply, read by a task: closing the SDK's own iterator leaves the connection
    open until the garbage is collected (its response refers to itself), cancelling a read does not.
    """
    came: asyncio.Queue[GenerateContentResponse | None] = asyncio.Queue()

    async def reading() -> None:
        try:
            async for chunk in whole(chunks):
                came.put_nowait(chunk)
        finally:
            came.put_nowait(None)

    task = asyncio.create_task(reading())
    try:
        while (chunk := await came.get()) is not None:
            yield chunk
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@contextmanager
def _failing() -> Iterator[None]:
    """Errors of the SDK, and answers that cannot be read, as `ClipFailed`."""
    try:
        yield
    except Declined as error:
        raise lost(Cause.ERROR, "gemini declines to answer") from error
    except (
        APIError,
        UnknownApiResponseError,
        BrokenOff,
        aiohttp.ClientError,
        TimeoutError,
        ValueError,
    ) as error:
        told = category(error)
        cause = CAUSES.get(told, Cause.ERROR) if told is not None else Cause.ERROR
        raise ClipFailed(Failure(cause), f"gemini: {type(error).__name__}") from error


def _text(candidate: Any) -> str:
    """What is said; not what was thought before."""
    parts = (candidate.content.parts if candidate.content else None) or ()
    return "".join(part.text for part in parts if part.text and not part.thought)


def _uses(usage: Any) -> tuple[Use, ...] | None:
    """Thoughts are billed as what is said."""
    if usage is None:
        return None
    said = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
    return tokens(usage.prompt_token_count or 0, said, usage.cached_content_token_count or 0)
