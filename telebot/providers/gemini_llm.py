"""Pipecat's Gemini language model on the process's own connections, with every failure told.

Pipecat 1.14 makes a client for every service, with two HTTP clients and their certificates in it,
takes no address, and cannot tell what kind of failure an error in mid-stream, a refused key (a
400) or a lost connection is; a reply that breaks off it takes for a whole one. Google's SDK waits
one to ten seconds and tries again where a connection fails, unless it is told not to. Retries are
the chain's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import aiohttp
from google.genai import Client
from google.genai.errors import APIError, UnknownApiResponseError
from google.genai.types import GenerateContentResponse, HttpOptions, HttpRetryOptions
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.services.google.llm import GoogleLLMService
from pipecat.utils.errors import ErrorCategory, classify_http_status_code


class BrokenOff(Exception):
    """A reply without its end."""


class Declined(Exception):
    """The model will not answer this conversation."""


LOST = (aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, BrokenOff)


class Clients:
    """Google's clients of this process, one for each key and address."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http
        self._clients: dict[str, Client] = {}

    def client(self, key: str, url: str) -> Client:
        """The client of this key; made when it is first asked for."""
        name = f"{url} {hashlib.sha256(key.encode()).hexdigest()}"
        if name not in self._clients:
            options = HttpOptions(
                base_url=url,
                aiohttp_client=self._http,
                retry_options=HttpRetryOptions(attempts=1),
            )
            self._clients[name] = Client(api_key=key, http_options=options)
            if url.startswith("http:"):
                _plain(self._clients[name], url)
        return self._clients[name]

    async def aclose(self) -> None:
        """The HTTP session belongs to its giver."""
        for client in self._clients.values():
            await client.aio.aclose()
            client.close()
        self._clients.clear()


def _plain(client: Client, url: str) -> None:
    """Let the client open plain sockets at an address that is plain: the SDK makes all of them
    secure."""
    api: Any = client._api_client
    api._websocket_base_url = lambda _options=None: f"ws:{url.removeprefix('http:')}"
    api._websocket_ssl_ctx = {}


class SharedGoogleLLMService(GoogleLLMService):
    """`client` belongs to its giver."""

    def __init__(self, *, client: Client, settings: Any = None, **kwargs: Any) -> None:
        if settings is not None and isinstance(settings.thinking, dict):
            settings.thinking = self.ThinkingConfig(**settings.thinking)
        self._shared = client
        self._reply: Any = None
        super().__init__(settings=settings, **kwargs)

    def create_client(self) -> None:
        self._client = self._shared

    async def _close_client(self) -> None:
        """Nothing of its own to close."""

    async def _process_context(self, context: LLMContext) -> None:
        """A reply that is interrupted leaves no connection behind."""
        try:
            await super()._process_context(context)
        finally:
            reply, self._reply = self._reply, None
            if reply is not None:
                await reply.aclose()

    def _stream_response(self, context: LLMContext) -> Any:
        self._reply = whole(super()._stream_response(context))
        return self._reply

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return category(exception)


async def whole(chunks: Any) -> AsyncGenerator[GenerateContentResponse, None]:
    """The chunks of a reply. Raises BrokenOff where it ends before its end."""
    ended = False
    async with aclosing(chunks):
        async for chunk in chunks:
            if chunk.prompt_feedback and chunk.prompt_feedback.block_reason:
                raise Declined(
                    f"the model declined to answer ({chunk.prompt_feedback.block_reason})"
                )
            ended = ended or any(each.finish_reason for each in chunk.candidates or ())
            yield chunk
    if not ended:
        raise BrokenOff("the reply broke off")


def category(exception: Exception) -> ErrorCategory | None:
    """What kind of failure it is; None where nothing is known of it."""
    if isinstance(exception, LOST):
        return ErrorCategory.CONNECTIVITY
    if isinstance(exception, (UnknownApiResponseError, UnicodeDecodeError)):
        return ErrorCategory.SERVER
    if isinstance(exception, APIError):
        if "API_KEY_INVALID" in str(exception.details):
            return ErrorCategory.AUTHENTICATION
        # the response's own status is 200 where the error comes in mid-stream
        return classify_http_status_code(exception.code or 0)
    return None
