"""How a conversation goes, as messages for its client (`docs/realtime.md`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from telebot.call.model import Call, State, Turn, Usage
from telebot.speech.wishes import Market

Tell = Callable[[Mapping[str, Any]], None]
TOLD = {  # a call's state in the client's three words
    State.GREETING: "speaking",
    State.LISTENING: "listening",
    State.THINKING: "thinking",
    State.SPEAKING: "speaking",
    State.TRANSFERRING: "thinking",
}
EVENTS = {"failover": ("kind", "provider", "cause"), "no_provider": ("kind",)}


def ready(call: Call, rate_hz: int, mode: str, now: Mapping[str, Any]) -> Mapping[str, Any]:
    """The first message of a session that is up; `now` is its language and its providers."""
    return {
        "type": "ready",
        "session": call.offer.carrier_call_id,
        "call": call.id,
        "sample_rate": rate_hz,
        "mode": mode,
        "agent": call.agent,
        **now,
    }


def skipped(market: Market) -> Mapping[str, Any]:
    """Who did not come into question, and why."""
    return {"skipped": [one.told() for one in market.passed_over]}


class Teller:
    """An `Audience` that tells one client. Says nothing twice."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._state = self._partial = ""
        self._reply = (-1, "")

    def state(self, state: State) -> None:
        told = TOLD.get(state, "")
        if told and told != self._state:
            self._state = told
            self._tell({"type": "state", "state": told})

    def partial(self, text: str) -> None:
        if text and text != self._partial:
            self._partial = text
            self._tell({"type": "partial", "text": text})

    def transcript(self, turn: int, text: str) -> None:
        self._partial = ""
        self._tell({"type": "transcript", "turn": turn, "text": text})

    def reply(self, turn: int, text: str) -> None:
        if text and (turn, text) != self._reply:
            self._reply = (turn, text)
            self._tell({"type": "reply", "turn": turn, "text": text, "final": False})

    def turn(self, turn: Turn, used: Sequence[Usage]) -> None:
        heard = turn.bot_text_heard
        self._tell({"type": "reply", "turn": turn.index, "text": heard, "final": True})
        latency = {name: ms for name, ms in asdict(turn.latency_ms).items() if ms is not None}
        self._tell(
            {
                "type": "turn",
                "turn": turn.index,
                "text": turn.caller_text,
                "reply": heard,
                "interrupted": turn.interrupted,
                "latency_ms": latency,
                "providers": dict(turn.providers),
                "usage": [_use(each) for each in used],
            }
        )

    def event(self, name: str, fields: Mapping[str, object]) -> None:
        if name in EVENTS:
            self._tell({"type": name, **{each: fields.get(each) for each in EVENTS[name]}})


def _use(used: Usage) -> dict[str, Any]:
    return {
        "kind": used.kind,
        "provider": used.provider,
        "quantity": round(used.quantity, 3),
        "unit": used.unit,
    }
