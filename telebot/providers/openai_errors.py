"""What an error of OpenAI's SDK, or of its socket, means; also of the vendors that copy that wire.

Pipecat 1.14 knows an HTTP status, but neither the SDK's own exceptions for a connection that fails
nor an error that comes after the status line, as an event of a stream or of a socket.
https://platform.openai.com/docs/guides/error-codes,
https://developers.openai.com/api/reference/resources/realtime/server-events.
"""

from __future__ import annotations

import json
from typing import Any

import httpx2
import openai
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import ConnectionClosed

from telebot.providers.openai_words import CAPACITY_EXCEEDED, WORDS, category_of
from telebot.providers.vendor_error import kind_of

# what the SDK and its HTTP client raise while a request is under way
WIRE_ERRORS = (openai.OpenAIError, httpx2.HTTPError, httpx2.StreamError)
UNREADABLE = (json.JSONDecodeError, UnicodeDecodeError)
UNREACHABLE = (openai.APIConnectionError, httpx2.TransportError)


def category(error: BaseException) -> ErrorCategory | None:
    """The kind of an exception; None where its HTTP status says it all, or nothing is known."""
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, ConnectionClosed) and error.rcvd is not None:
        return _of_close(error.rcvd.reason)
    if isinstance(error, UNREACHABLE):
        return ErrorCategory.CONNECTIVITY
    if isinstance(error, openai.APIError):
        return category_of(error.body)
    return kind_of(error)


def _of_status(error: openai.APIStatusError) -> ErrorCategory | None:
    if error.status_code == CAPACITY_EXCEEDED:
        return ErrorCategory.RATE_LIMIT
    if error.status_code == 429 and category_of(error.body) is ErrorCategory.QUOTA:
        return ErrorCategory.QUOTA
    return None


def _of_close(reason: str) -> ErrorCategory:
    """The reason of a close is ``TYPE.CODE`` where the vendor closes because of an error."""
    kind, _, code = reason.partition(".")
    if kind in WORDS and code:
        return category_of({"type": kind, "code": code})
    return ErrorCategory.CONNECTIVITY


class SaysWhat(FrameProcessor):
    """A service whose error frames say what kind of error it was."""

    def _classify_error(self, exception: Exception) -> ErrorCategory | None:
        return category(exception)


def once(client: Any) -> Any:
    """A client of OpenAI's SDK that asks once: to ask again is the chain's business."""
    return client.with_options(max_retries=0)
