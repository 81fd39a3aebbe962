"""What a vendor's plain HTTP interface answers, and its refusals as the pipeline's errors.

For services of our own on the process's HTTP client (`azure_stt.py`, `azure_tts.py`, `piper.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S, READ_S

TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, ProviderError)


class HttpRefusal(ProviderError):
    """An answer that is none: its status and its headers (``Retry-After``)."""

    def __init__(self, who: str, status: int, headers: Mapping[str, str], says: str = "") -> None:
        super().__init__(f"{who} answers {status}{f': {says}' if says else ''}")
        self.status = status
        self.headers = headers


async def accepted(who: str, answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    """`answer` where it is one. Raises HttpRefusal."""
    if answer.status == 200:
        return answer
    says = (await answer.content.read(512)).decode(errors="replace").strip() or answer.reason or ""
    raise HttpRefusal(who, answer.status, answer.headers, says[:200])


def error_frame(who: str, error: Exception) -> ErrorFrame:
    """A failed request (one of `FAILURES`), for the pipeline; no key stands in it."""
    if isinstance(error, HttpRefusal):
        category = classify_http_status_code(error.status)
    elif isinstance(error, ProviderError):
        category = ErrorCategory.SERVER
    else:
        category = ErrorCategory.CONNECTIVITY
        error = ProviderError(f"{who} cannot be reached ({type(error).__name__})")
    return ErrorFrame(error=str(error), exception=error, category=category)
