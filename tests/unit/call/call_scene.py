"""Admission with clocks that are turned by hand and a log that remembers."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from telebot.call.admission import Admission
from telebot.call.model import Call, CallOffer, Termination
from telebot.call.tokens import StreamTokens

KEY = "k" * 32
LIFE_S = 300.0


class MemoryLog:
    """A `CallLog` that keeps what it is told."""

    def __init__(self) -> None:
        self.opened_calls: list[Call] = []
        self.answered_calls: list[Call] = []
        self.dialled_calls: list[tuple[Call, str]] = []
        self.endings: list[tuple[Call, Termination]] = []

    def opened(self, call: Call) -> None:
        self.opened_calls.append(call)

    def dialled(self, call: Call) -> None:
        self.dialled_calls.append((call, call.offer.carrier_call_id))

    def answered(self, call: Call) -> None:
        self.answered_calls.append(call)

    def closed(self, call: Call, termination: Termination) -> None:
        self.endings.append((call, termination))

    def state(self, call: Call) -> None:
        pass

    def turn(self, call: Call, turn: Any) -> None:
        pass

    def used(self, call: Call, usage: Any) -> None:
        pass

    def note(self, call: Call, note: Any) -> None:
        pass

    def event(self, call: Call, event: Any) -> None:
        pass


class Scene:
    """One admission and the time around it."""

    def __init__(self, max_calls: int = 2) -> None:
        self.time_s = 0.0
        self.log = MemoryLog()
        ids = itertools.count(1)
        self.tokens = StreamTokens(KEY, LIFE_S, self.now)
        self.admission = Admission(
            log=self.log,
            tokens=self.tokens,
            numbers={"+441632960000": "front-desk"},
            agents=frozenset({"front-desk", "echo"}),
            max_calls=max_calls,
            clock=lambda: self.time_s,
            wall_clock=self.now,
            new_id=lambda: f"id{next(ids)}",
        )

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.time_s)

    def reasons(self) -> list[str]:
        return [termination.reason for _, termination in self.log.endings]


def offer(sid: str = "CA1", **changes: Any) -> CallOffer:
    """A call to the number that has an agent."""
    fields = {"phone_from": "+441632960001", "phone_to": "+441632960000", **changes}
    return CallOffer("twilio", sid, **fields)
