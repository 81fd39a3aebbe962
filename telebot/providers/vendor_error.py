"""An error that a vendor tells inside its protocol, with its kind, and the kinds of a connection's
own errors. Pipecat knows the kinds of HTTP's statuses; all else that goes wrong is told here.
"""

from __future__ import annotations

import json
from typing import Any

from pipecat.utils.errors import ErrorCategory, classify_http_status_code
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from telebot.call.errors import ProviderError


class VendorError(ProviderError):
    """What the vendor said, and what kind of error it is."""

    def __init__(self, message: str, category: ErrorCategory = ErrorCategory.SERVER) -> None:
        super().__init__(message)
        self.category = category

    @classmethod
    def of_status(cls, message: str, status: object) -> VendorError:
        """Of the HTTP status that the vendor names; where it names none, its own fault."""
        if isinstance(status, int):
            return cls(message, classify_http_status_code(status))
        return cls(message)


def read_object(raw: str | bytes, who: str) -> dict[str, Any]:
    """A JSON object from the wire. Raises VendorError for anything else: a vendor that sends junk
    sends no words either."""
    try:
        message = json.loads(raw)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise VendorError(f"{who} sends what is no message")
    return message


def kind_of(error: BaseException) -> ErrorCategory | None:
    """Why a connection failed; None where its HTTP status says it, or nothing is known."""
    if isinstance(error, VendorError):
        return error.category
    if isinstance(error, InvalidStatus):
        return None
    if isinstance(error, ConnectionClosed | InvalidHandshake | OSError | EOFError):
        return ErrorCategory.CONNECTIVITY
    return ErrorCategory.SERVER if isinstance(error, ProviderError | ValueError) else None
