"""Records on a real SQLite file, with clocks that are turned by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from telebot.call.ending import termination
from telebot.call.model import Call, CallOffer, State, Turn, TurnLatency
from telebot.records.reading import CallReader
from telebot.records.store import Store
from telebot.records.writer import CallWriter

START = datetime(2026, 11, 20, 19, 0, tzinfo=UTC)
LOCAL = {"stt": "local", "llm": "dialog", "tts": "local"}


class Time:
    """A wall clock and a monotonic clock in one; both move only by `pass_`."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def pass_(self, seconds: float) -> None:
        self.passed_s += seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed_s)

    def clock(self) -> float:
        return self.passed_s


class Scene:
    """A store, its writer and its reader, and calls to put into them."""

    server = "this-server"

    def __init__(self, data, time: Time, **writer) -> None:
        self.data, self.time = data, time
        self.store = Store("", data, busy_s=0.0)
        self.log = CallWriter(self.store, data, self.server, time.now, **writer)
        self.reader = CallReader(self.store, data, self.server, "USD")

    def call(self, call_id: str = "call-1", **offer) -> Call:
        told = {"carrier": "twilio", "phone_from": "+441632960001", "phone_to": "+441632960000"}
        told |= {"carrier_call_id": f"CA-{call_id}"} | offer
        call = Call(call_id, CallOffer(**told), "front-desk", self.time.now())
        self.log.opened(call)
        return call

    def answer(self, call: Call) -> Call:
        call.answered_at = self.time.now()
        self.log.answered(call)
        return call

    def end(self, call: Call, reason: str = "caller_hangup") -> None:
        call.termination, call.ended_at = termination(reason), self.time.now()
        call.state = State.ENDED
        self.log.closed(call, call.termination)

    def turn(
        self, index: int = 0, caller_text: str | None = None, bot: str = "Hello.", **parts
    ) -> Turn:
        latency = TurnLatency(**parts.pop("latency_ms", {}))
        told = {"bot_text_heard": bot, "interrupted": False, "providers": LOCAL} | parts
        return Turn(
            index=index,
            started_at=self.time.now(),
            caller_text=caller_text,
            bot_text=bot,
            latency_ms=latency,
            **told,
        )
