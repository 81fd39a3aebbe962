"""OpenAI's own SDK for replies to work that is no call: one client on the process's connections,
and what its errors mean. For `openai_replies.py` and the files of vendors that copy that wire."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import openai

from telebot.providers import openai as vendor_file
from telebot.providers import vendor
from telebot.providers.asking import failure_of_status
from telebot.providers.clips import ClipFailed, lost
from telebot.providers.failure import CAUSES, Cause, Failure, retry_after
from telebot.providers.openai_errors import UNREADABLE, WIRE_ERRORS, category
from telebot.providers.resources import Resources

TIMEOUT_S = 60.0


def shared_client(
    options: Mapping[str, Any], resources: Resources, name: str, url: str
) -> openai.AsyncOpenAI:
    """A client of a vendor (``OPENAI``) on the process's connections, which asks once. Raises
    ProviderConfigError."""
    key, url = vendor.access(options, resources.environ, name, url)
    return openai.AsyncOpenAI(
        api_key=key,
        base_url=url,
        http_client=vendor_file.openai_http(resources),
        max_retries=0,
        timeout=TIMEOUT_S,
    )


@contextmanager
def failing(who: str) -> Iterator[None]:
    """Errors of the SDK, and answers that cannot be read, as `ClipFailed`."""
    try:
        yield
    except openai.APIStatusError as error:
        told = category(error)
        failure = failure_of_status(error.status_code, error)
        if told is not None:
            failure = Failure(CAUSES.get(told, failure.cause), retry_after(error))
        raise ClipFailed(failure, f"{who} answers {error.status_code}") from error
    except openai.APITimeoutError as error:
        raise lost(Cause.SLOW_FIRST, f"{who} does not answer in time") from error
    except WIRE_ERRORS as error:
        told = category(error)
        cause = CAUSES.get(told, Cause.ERROR) if told is not None else Cause.ERROR
        raise lost(cause, f"{who}: {type(error).__name__}") from error
    except UNREADABLE as error:
        raise lost(Cause.ERROR, f"{who} answers with something that is no JSON") from error
