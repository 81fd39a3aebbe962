"""The one error tree: what went wrong here (`Local`) against what went wrong elsewhere (`Remote`).

Rooms raise these; the edge turns them into HTTP statuses or close codes, the call's ending into a
termination reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TelebotError(Exception):
    """Base of every error telebot raises on purpose."""


class Local(TelebotError):
    """Ours: configuration, a limit reached, a programming mistake."""


class ConfigError(Local):
    """The operator's configuration cannot be used; the message says what to write instead."""


class ProviderConfigError(ConfigError):
    """A provider named in an agent cannot be built: unknown name, missing key or package."""


class Refused(Local):
    """Admission turned a call away. `reason` is a termination reason, e.g. ``capacity``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class BadToken(Local):
    """A media stream came with a token that is missing, forged, stale or used."""


class ApiError(Local):
    """A program's request that cannot be answered as asked: the HTTP `status`, a `code` for
    programs, and the parameter at fault. `metadata` is told beside them (who was asked, and what
    came of it), `retry_after_s` as a header."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param
        self.metadata = metadata
        self.retry_after_s = retry_after_s


class Remote(TelebotError):
    """Theirs: a carrier or a provider misbehaved or could not be reached."""


class CarrierError(Remote):
    """A carrier's REST or signalling failed."""


class Unable(CarrierError):
    """This carrier cannot do what is asked of it; the message says what."""


class NotReached(CarrierError):
    """Nobody could be put through to. `reason`: ``busy``, ``no_answer``, ``declined``,
    ``unreachable``, ``hung_up`` (while they were told), ``number_not_allowed``, ``unable``."""

    def __init__(self, reason: str, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class BadWire(CarrierError):
    """A message that breaks the carrier's protocol; ends that one call.

    `close_code` is the WebSocket close code to answer with (RFC 6455 section 7.4.1).
    """

    def __init__(self, message: str, close_code: int = 1008) -> None:
        super().__init__(message)
        self.close_code = close_code


class NotAuthentic(CarrierError):
    """A webhook whose signature is missing or wrong."""


class BadRequest(CarrierError):
    """A webhook that cannot be read as the carrier defines it (a 4xx)."""


class ProviderError(Remote):
    """A speech or language provider failed."""


class ProviderBusy(ProviderError):
    """A provider's queue is full; try later or elsewhere."""
