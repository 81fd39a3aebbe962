"""Requests to Azure's speech service: where it is, who asks, and what its refusals mean.

Shared by `azure.py`, `azure_stt.py` and `azure_tts.py`. Hosts and headers:
https://learn.microsoft.com/azure/ai-services/speech-service/rest-text-to-speech and
https://learn.microsoft.com/azure/ai-services/speech-service/rest-speech-to-text-short.
"""

from __future__ import annotations

from collections.abc import Mapping

import aiohttp
from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_status_code

from telebot.call.errors import ProviderError
from telebot.providers.resources import CONNECT_S, READ_S

TTS_PATH = "/cognitiveservices/v1"
VOICES_PATH = "/cognitiveservices/voices/list"
STT_PATH = "/speech/recognition/conversation/cognitiveservices/v1"
TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=READ_S)
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class AzureRefusal(ProviderError):
    """An answer that is none: its status and its headers (``Retry-After``)."""

    def __init__(self, status: int, headers: Mapping[str, str], says: str) -> None:
        super().__init__(f"azure answers {status}{f': {says}' if says else ''}")
        self.status = status
        self.headers = headers


def key_headers(key: str) -> dict[str, str]:
    """Who asks; the application's name is demanded of requests for speech."""
    return {"Ocp-Apim-Subscription-Key": key, "User-Agent": "telebot"}


async def accepted(answer: aiohttp.ClientResponse) -> aiohttp.ClientResponse:
    """`answer` where it is one. Raises AzureRefusal."""
    if answer.status == 200:
        return answer
    says = (await answer.content.read(512)).decode(errors="replace").strip() or answer.reason or ""
    raise AzureRefusal(answer.status, answer.headers, says[:200])


def error_frame(error: Exception) -> ErrorFrame:
    """A failed request, for the pipeline; no key stands in it."""
    if isinstance(error, AzureRefusal):
        category = classify_http_status_code(error.status)
        return ErrorFrame(error=str(error), exception=error, category=category)
    known = isinstance(error, ProviderError)
    says = str(error) if known else f"azure cannot be reached ({type(error).__name__})"
    category = ErrorCategory.SERVER if known else ErrorCategory.CONNECTIVITY
    return ErrorFrame(error=says, exception=ProviderError(says), category=category)
