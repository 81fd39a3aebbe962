"""What went wrong at a provider, in words that do not depend on the vendor.

A chain makes a `Failure` of an error its link reports, or of a deadline of its own that passed;
`breaker.py` decides by its cause how long the provider is left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from pipecat.frames.frames import ErrorFrame
from pipecat.utils.errors import ErrorCategory, classify_http_exception


class Cause(StrEnum):
    """Why a link was given up."""

    REFUSED = "refused"  # 401, 403: until the key changes
    RATE_LIMIT = "rate_limit"  # 429
    QUOTA = "quota"  # 402: the account is empty
    BAD_REQUEST = "bad_request"  # the vendor does not know the model, or the voice
    UNREACHABLE = "unreachable"
    SERVER = "server"  # 5xx
    ERROR = "error"  # it says something else
    SLOW_START = "slow_start"  # not connected in time
    SLOW_FIRST = "slow_first"  # no first token, no first audio, no text in time
    STALLED = "stalled"  # nothing more in the middle
    SILENT = "silent"  # audio without sound
    EMPTY = "empty"  # no text for clear speech, no words for a question
    SHORT = "short"  # audio shorter than its text can be
    PACED = "paced"  # not asked: our own limit for it leaves no place (`pacing.py`)


CAUSES = {
    ErrorCategory.AUTHENTICATION: Cause.REFUSED,
    ErrorCategory.AUTHORIZATION: Cause.REFUSED,
    ErrorCategory.RATE_LIMIT: Cause.RATE_LIMIT,
    ErrorCategory.QUOTA: Cause.QUOTA,
    ErrorCategory.INVALID_REQUEST: Cause.BAD_REQUEST,
    ErrorCategory.CONNECTIVITY: Cause.UNREACHABLE,
    ErrorCategory.SERVER: Cause.SERVER,
}
LONGEST_RETRY_AFTER_S = 600.0


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure of one link; `retry_after_s` is what the vendor asked for."""

    cause: Cause
    retry_after_s: float | None = None


def of_error(frame: ErrorFrame) -> Failure:
    """The failure that a Pipecat service reports."""
    category = frame.category
    if category in (None, ErrorCategory.UNKNOWN) and frame.exception is not None:
        category = classify_http_exception(frame.exception)
    cause = CAUSES.get(category, Cause.ERROR) if category is not None else Cause.ERROR
    return Failure(cause, retry_after(frame.exception))


def retry_after(error: BaseException | None) -> float | None:
    """Seconds of a ``Retry-After`` header (RFC 9110 section 10.2.3) or of the ``retry-after-ms``
    that OpenAI's SDKs read; None where the answer has neither."""
    headers = getattr(getattr(error, "response", None), "headers", None)
    if headers is None:
        headers = getattr(error, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    for name, unit_s in (("retry-after-ms", 1e-3), ("retry-after", 1.0), ("Retry-After", 1.0)):
        try:
            seconds = float(str(headers[name])) * unit_s
        except (KeyError, ValueError):
            continue
        if seconds >= 0:
            return min(seconds, LONGEST_RETRY_AFTER_S)
    return None
