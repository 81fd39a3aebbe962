"""Pipecat's Anthropic language model on the process's own connections, with every failure told.

Pipecat 1.14 opens a client for every service and closes none, has the SDK try twice more before an
error is seen, says nothing of a read that times out in mid-reply, takes a reply that breaks off
for a whole one, and cannot tell what kind of failure an error in mid-stream or a lost connection
is. Retries are the chain's business.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
from anthropic import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncAnthropic
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.anthropic.llm import AnthropicLLMService
from pipecat.utils.errors import ErrorCategory

from telebot.providers.resources import CONNECT_S, CONNECTIONS, KEPT_S, READ_S

TIMEOUT = httpx.Timeout(READ_S, connect=CONNECT_S)
# what an error event in mid-stream says, where the HTTP status is 200 already
# (https://platform.claude.com/docs/en/api/errors)
KINDS = {
    "authentication_error": ErrorCategory.AUTHENTICATION,
    "permission_error": ErrorCategory.AUTHORIZATION,
    "billing_error": ErrorCategory.QUOTA,
    "rate_limit_error": ErrorCategory.RATE_LIMIT,
    "invalid_request_error": ErrorCategory.INVALID_REQUEST,
    "not_found_error": ErrorCategory.INVALID_REQUEST,
    "api_error": ErrorCategory.SERVER,
    "overloaded_error": ErrorCategory.SERVER,
    "timeout_error": ErrorCategory.SERVER,
}
# a spent limit comes as 400, and ends by itself: no fault of the request
SPENT = ("usage limits", "credit balance")


def client() -> httpx.AsyncClient:
    """An HTTP client as Anthropic's SDK takes it."""
    return httpx.AsyncClient(
        timeout=TIMEOUT,
        limits=httpx.Limits(
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEPT_S,
        ),
        follow_redirects=True,
    )


class SharedAnthropicLLMService(AnthropicLLMService):
    """`http_client` belongs to its giver."""

    def __init__(
        self,
        *,
        api_key: str,
        http_client: httpx.AsyncClient,
        base_url: str = "https://api.anthropic.com",
        settings: Any = None,
        **kwargs: Any,
    ) -> None:
        if settings is not None and isinstance(settings.thinking, dict):
            settings.thinking = self.ThinkingConfig(**settings.thinking)
        sdk = AsyncAnthropic(
            api_key=api_key,
            base_url=base_url,
            http_client=http_client,
            timeout=TIMEOUT,
            max_retries=0,
        )
        super().__init__(api_key=api_key, client=sdk, settings=settings, **kwargs)
        self._stream: Any = None

    async def _process_context(self, context: LLMContext) -> None:
        """A reply that is interrupted leaves no connection behind."""
        try:
            await super()._process_context(context)
        finally:
            stream, self._stream = self._stream, None
            if stream is not None:
                await stream.close()

    async def _create_message_stream(self, api_call: Any, params: Any) -> AsyncIterator[Any]:
        self._stream = await api_call(**params)
        return whole(self._stream)

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return category(exception)


async def whole(stream: Any) -> AsyncIterator[Any]:
    """The events of a reply. Raises APIError where it ends before its end."""
    request, stop = stream.response.request, None
    try:
        async for event in stream:
            if event.type == "message_delta":
                stop = event.delta.stop_reason or stop
            yield event
    except httpx.TimeoutException as error:
        raise APITimeoutError(request) from error
    if stop is None:
        raise APIConnectionError(message="the reply broke off", request=request)
    if stop == "refusal":
        raise APIError("the model declined to answer", request, body=None)


def category(exception: Exception) -> ErrorCategory | None:
    """What kind of failure it is; None where its HTTP status says enough."""
    if isinstance(exception, (APIConnectionError, httpx.TransportError)):
        return ErrorCategory.CONNECTIVITY
    if isinstance(exception, (json.JSONDecodeError, UnicodeDecodeError)):
        return ErrorCategory.SERVER
    if isinstance(exception, APIStatusError):
        if exception.status_code == 400 and any(word in str(exception) for word in SPENT):
            return ErrorCategory.QUOTA
        if exception.status_code == 200:
            return KINDS.get(str(exception.type), ErrorCategory.SERVER)
    return None
