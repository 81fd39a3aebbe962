"""Pipecat's Gemini Live on the process's own client, with every failure told.

Audio goes in at 8 kHz, as its type says, and comes at 24 kHz
(https://ai.google.dev/gemini-api/docs/live). Pipecat 1.14 says nothing where the session cannot be
opened (a wrong key, an unknown model, nobody there), opens a lost one again in silence with a reply
for ever half said, and then shows an error for every piece of audio; all three are mended here. A
session that is resumed keeps its memory.
"""

from __future__ import annotations

import asyncio
from typing import Any

from google.genai import Client
from google.genai.errors import APIError
from pipecat.frames.frames import LLMFullResponseEndFrame, TTSStoppedFrame
from pipecat.services.google.gemini_live.llm import GeminiLiveLLMService
from pipecat.utils.errors import ErrorCategory, classify_http_exception
from websockets.exceptions import ConnectionClosed, WebSocketException

FAILURES = (APIError, WebSocketException, OSError, TimeoutError, ValueError)


class ToldGeminiLiveLLMService(GeminiLiveLLMService):
    """`client` belongs to its giver."""

    def __init__(self, *, client: Client, **kwargs: Any) -> None:
        self._shared = client
        super().__init__(**kwargs)

    def create_client(self) -> None:
        self._client = self._shared

    async def _connection_task_handler(self, config: Any) -> None:
        try:
            await super()._connection_task_handler(config)
        except FAILURES as error:
            await self.push_error(f"Gemini Live cannot be reached: {error}", exception=error)
        if self._connection_task is asyncio.current_task():
            # nobody connects again: no audio goes to a session that is over
            self._session = None
            self._ready_for_realtime_input = False

    async def _handle_connection_error(self, error: Exception) -> bool:
        """Whether to connect again: not where that cannot help."""
        if self._bot_is_responding:
            await self._set_bot_is_responding(False)
            await self.push_frame(TTSStoppedFrame())
            await self.push_frame(LLMFullResponseEndFrame())
        await self.push_error(f"Gemini Live was lost: {error}", exception=error)
        if category(error) is not ErrorCategory.CONNECTIVITY:
            return False
        return bool(await super()._handle_connection_error(error))

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return category(exception)


def category(exception: Exception) -> ErrorCategory | None:
    """What kind of failure it is, by the close code and its words; None where nothing is known."""
    if isinstance(exception, APIError):
        return _closed(exception.code or 0, str(exception.details))
    if isinstance(exception, ConnectionClosed) and exception.rcvd:
        return _closed(exception.rcvd.code, exception.rcvd.reason)
    if isinstance(exception, WebSocketException):
        known = classify_http_exception(exception)
        return ErrorCategory.CONNECTIVITY if known is ErrorCategory.UNKNOWN else known
    if isinstance(exception, (OSError, TimeoutError)):
        return ErrorCategory.CONNECTIVITY
    return ErrorCategory.SERVER if isinstance(exception, ValueError) else None


def _closed(code: int, words: str) -> ErrorCategory:
    if "API key" in words or "authentication" in words:
        return ErrorCategory.AUTHENTICATION
    if "quota" in words or "RESOURCE_EXHAUSTED" in words:
        return ErrorCategory.RATE_LIMIT
    if code in (1007, 1008):
        return ErrorCategory.INVALID_REQUEST
    # the end of a connection's time comes as 1011 too: a new one helps
    if code == 1011 and "Deadline" not in words:
        return ErrorCategory.SERVER
    return ErrorCategory.CONNECTIVITY
