"""What the server writes about itself: one JSON object a line on standard error.

Words, numbers and digits of callers stand only in the fields named here and are masked, unless the
operator asks for them. Pipecat logs through loguru and puts texts into its messages, so only where
a warning comes from is kept of those.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import loguru
import structlog

TEXT_FIELDS = frozenset({"caller_text", "bot_text", "text"})
NUMBER_FIELDS = frozenset({"phone_from", "phone_to", "digits"})
UNREADABLE = "aiohttp.http_exceptions"  # bytes that are no HTTP; these errors quote them


def configure(level: str, *, private: bool = False) -> None:
    """Set logging up for the process; `private` leaves callers' words and numbers readable."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            *([] if private else [redact]),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level)),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Lossy(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_ToStructlog()], force=True)
    loguru.logger.remove()
    loguru.logger.add(_from_loguru, level="WARNING", catch=True)


def quiet_imports() -> None:
    """Pipecat greets at import; a command's output is not the place for it."""
    loguru.logger.remove()


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask what belongs to a caller: texts by their length, numbers to their last two digits."""
    for key in event.keys() & TEXT_FIELDS:
        event[key] = f"<{len(str(event[key]))} characters>"
    for key in event.keys() & NUMBER_FIELDS:
        shown = str(event[key])
        event[key] = "…" + shown[-2:] if len(shown) > 6 else f"<{len(shown)} digits>"
    return event


class _Lossy:
    """A stream that is gone or full (a closed pipe, a full disk) loses lines, and no call."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):  # ValueError: it was closed
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


class _ToStructlog(logging.Handler):
    """Standard library loggers (aiohttp, alembic, twilio) in the same shape."""

    def emit(self, record: logging.LogRecord) -> None:
        log = structlog.get_logger(record.name)
        exc = record.exc_info if record.exc_info and record.exc_info[0] else None
        if exc and type(exc[1]).__module__ == UNREADABLE:
            log.warning("request_unreadable", error=type(exc[1]).__name__)
            return
        log.log(record.levelno, record.getMessage(), logger=record.name, exc_info=exc)


def _from_loguru(message: loguru.Message) -> None:
    record = message.record
    fault = record["exception"]
    structlog.get_logger().log(
        record["level"].no,
        "pipecat",
        module=record["name"],
        function=record["function"],
        line=record["line"],
        error=fault.type.__name__ if fault is not None and fault.type else None,
    )
