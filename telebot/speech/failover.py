"""What a call's chains tell: into its record, its turns, its bill, and the log.

The `ChainListener` of one call. `assembly.py` makes it before the conversation has its parts.
"""

from __future__ import annotations

from collections.abc import Callable

import structlog

from telebot.call.model import Call, Usage
from telebot.call.ports import CallLog
from telebot.providers.failure import Failure
from telebot.speech.budget import Budget
from telebot.speech.reply import Reply

WHOLE = ("stt", "llm", "tts")  # what a session of speech to speech is at once
log = structlog.get_logger()


class Failovers:
    """`providers` is who serves now, by kind; the replies read it when they begin."""

    def __init__(self, call: Call, call_log: CallLog, providers: dict[str, str | None]) -> None:
        self._call = call
        self._call_log = call_log
        self.providers = providers
        self.own: set[tuple[str, str]] = set()  # kind and name of links that the caller pays
        self.current: Callable[[], Reply | None] = lambda: None
        self.note_event: Callable[..., None] = lambda name, **fields: None
        self.exhausted: Callable[[str], None] = lambda kind: None
        self.budget: Budget | None = None

    def link_served(self, kind: str, name: str) -> None:
        parts = WHOLE if kind == "realtime" else (kind,)
        self.providers.update(dict.fromkeys(parts, name))
        reply = self.current()
        answers = reply is not None and reply.caller_text is not None  # and is no phrase
        if reply is not None and answers and kind != "stt":
            reply.providers.update(dict.fromkeys(parts, name))

    def link_failed(self, kind: str, name: str, failure: Failure) -> None:
        cause = failure.cause.value
        log.warning("failover", call_id=self._call.id, kind=kind, provider=name, cause=cause)
        self.note_event("failover", kind=kind, provider=name, cause=cause)

    def link_used(self, kind: str, name: str, quantity: float, unit: str) -> None:
        # a model or voice whose kept work was used says 0, or the bill would guess at it
        own = (kind, name) in self.own
        if quantity > 0 or kind != "stt":
            self._call_log.used(self._call, Usage(kind, name, quantity, unit, own))
        if quantity > 0 and self.budget is not None and not own:
            self.budget.used(kind, name, quantity, unit)

    def chain_exhausted(self, kind: str) -> None:
        log.error("no provider left", call_id=self._call.id, kind=kind)
        self.note_event("no_provider", kind=kind)
        self.exhausted(kind)


class Nobody:
    """A listener for pipelines without a call."""

    def link_served(self, kind: str, name: str) -> None:
        return None

    def link_failed(self, kind: str, name: str, failure: Failure) -> None:
        return None

    def link_used(self, kind: str, name: str, quantity: float, unit: str) -> None:
        return None

    def chain_exhausted(self, kind: str) -> None:
        return None
