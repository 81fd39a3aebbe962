"""What Deepgram says when it refuses, in Pipecat's categories.

https://developers.deepgram.com/docs/errors,
https://developers.deepgram.com/docs/stt-troubleshooting-websocket-data-and-net-errors.
"""

from __future__ import annotations

from pipecat.utils.errors import ErrorCategory
from websockets.exceptions import InvalidStatus

NAMES = {
    "INVALID_AUTH": ErrorCategory.AUTHENTICATION,
    "INSUFFICIENT_PERMISSIONS": ErrorCategory.AUTHORIZATION,
    "TOO_MANY_REQUESTS": ErrorCategory.RATE_LIMIT,
    "ASR_PAYMENT_REQUIRED": ErrorCategory.QUOTA,
    "INTERNAL_SERVER_ERROR": ErrorCategory.SERVER,
    "NET-0000": ErrorCategory.SERVER,
    "NET-0001": ErrorCategory.CONNECTIVITY,  # our audio did not arrive there
}


def category(text: str) -> ErrorCategory | None:
    """The category of an error's name, wherever it stands in `text`; None where none does."""
    return next((found for name, found in NAMES.items() if name in text), None)


def refusal(error: BaseException) -> str:
    """Why a connection was not made: the status and Deepgram's reason, which stands in a header."""
    if isinstance(error, InvalidStatus):
        reason = error.response.headers.get("dg-error", "no reason given")
        return f"deepgram refuses the connection ({error.response.status_code}): {reason}"
    return f"deepgram cannot be reached ({type(error).__name__})"
