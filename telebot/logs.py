"""What the server writes about itself: one JSON object a line on standard error.

Words, numbers and digits of callers stand only in the fields named here and are masked, however
deep they lie, unless the operator asks for them. Whatever else might quote a caller is cut to what
cannot: of an exception that is not our own its type and its trace, of Pipecat's messages (loguru)
only where they come from, of an object that is no plain data its type.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

import loguru
import structlog

TEXT_FIELDS = frozenset({"caller_text", "bot_text", "text"})
NUMBER_FIELDS = frozenset({"phone_from", "phone_to", "digits"})
MOST_DEEP = 8  # deeper data is not written
MOST_FRAMES = 30  # of a trace, the innermost
MOST_CAUSES = 8
OURS = "telebot."
UNREADABLE = "aiohttp.http_exceptions"  # bytes that are no HTTP; these errors quote them


def configure(level: str, *, private: bool = False) -> None:
    """Set logging up for the process; `private` leaves callers' words and numbers readable."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *([structlog.processors.format_exc_info] if private else [told_exception, redact]),
            structlog.processors.JSONRenderer(default=repr if private else _plain),
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
    for key, value in event.items():
        event[key] = _masked(key, value, 0)
    return event


def _masked(key: object, value: Any, depth: int) -> Any:
    if key in TEXT_FIELDS:
        return f"<{len(str(value))} characters>"
    if key in NUMBER_FIELDS:
        shown = str(value)
        return "…" + shown[-2:] if len(shown) > 6 else f"<{len(shown)} digits>"
    if depth == MOST_DEEP:
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        return {str(name): _masked(name, inner, depth + 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked("", inner, depth + 1) for inner in value]
    return value


def told_exception(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """`exc_info` as a trace, outermost cause first, without what foreign exceptions say."""
    given = event.pop("exc_info", None)
    fault = given if isinstance(given, BaseException) else sys.exc_info()[1] if given else None
    if isinstance(given, tuple):
        fault = given[1]
    if fault is not None:
        event["exception"] = "\n".join(_trace(fault))
    return event


def _trace(fault: BaseException) -> Iterator[str]:
    for link in reversed([*_causes(fault)]):
        yield "".join(_frames(link.__traceback__)) + _told(link)
        if isinstance(link, BaseExceptionGroup):
            yield from (f"  among them {_told(one)}" for one in link.exceptions[:MOST_CAUSES])


def _causes(fault: BaseException | None) -> Iterator[BaseException]:
    for _ in range(MOST_CAUSES):
        if fault is None:
            return
        yield fault
        fault = fault.__cause__ or (None if fault.__suppress_context__ else fault.__context__)


def _frames(trace: TracebackType | None) -> list[str]:
    return traceback.format_tb(trace, limit=-MOST_FRAMES)


def _told(fault: BaseException) -> str:
    """Our own messages and the system's are written on purpose; others may quote anything."""
    if type(fault).__module__.startswith(OURS):
        return f"{type(fault).__name__}: {fault}"
    if isinstance(fault, OSError) and fault.strerror:
        return f"{type(fault).__name__}: {fault.strerror}"
    return type(fault).__name__


def _plain(value: object) -> str:
    """What JSON has no form for."""
    if isinstance(value, BaseException):
        return _told(value)
    return str(value) if isinstance(value, Path | date) else f"<{type(value).__name__}>"


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
        event = record.getMessage().partition("\n")[0]  # asyncio goes on with the task's exception
        log.log(record.levelno, event, logger=record.name, exc_info=exc)


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
