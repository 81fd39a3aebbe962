"""Pipecat's OpenAI language model on the process's own connections.

Pipecat 1.14 opens a client for every service and closes none, so each call would pay a handshake
and leave a connection behind. Retries are the chain's business, which must know what kind of error
it was.
"""

from __future__ import annotations

from typing import Any

import httpx2
from openai import AsyncOpenAI
from pipecat.services.openai.llm import OpenAILLMService

from telebot.providers.openai_errors import SaysWhat
from telebot.providers.resources import CONNECT_S, CONNECTIONS, KEPT_S, READ_S


def client() -> httpx2.AsyncClient:
    """An HTTP client as OpenAI's SDK takes it."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(READ_S, connect=CONNECT_S),
        limits=httpx2.Limits(
            max_connections=CONNECTIONS,
            max_keepalive_connections=CONNECTIONS,
            keepalive_expiry=KEPT_S,
        ),
        follow_redirects=True,
    )


class SharedOpenAILLMService(SaysWhat, OpenAILLMService):
    """`http_client` belongs to its giver. Serves every vendor that copies OpenAI's wire."""

    def __init__(self, *, http_client: httpx2.AsyncClient, **kwargs: Any) -> None:
        self._shared = http_client
        super().__init__(**kwargs)

    def create_client(
        self,
        api_key: Any = None,
        base_url: Any = None,
        organization: Any = None,
        project: Any = None,
        default_headers: Any = None,
        **kwargs: Any,
    ) -> AsyncOpenAI:
        return AsyncOpenAI(
            api_key=api_key,
            base_url=base_url,
            organization=organization,
            project=project,
            default_headers=default_headers,
            http_client=self._shared,
            max_retries=0,
        )
