"""How a call went, for a person line by line and for a program as one JSON object."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from telebot.audio.g711 import RATE_HZ
from telebot.phone.phone import Phone
from telebot.phone.turns import Turn


def lines(turn: Turn) -> list[str]:
    """One turn as a person reads it."""
    shown = []
    if turn.said is not None:
        who = "caller (keys)" if turn.kind == "dtmf" else "caller"
        note = "  [over the bot]" if turn.over_bot else ""
        shown.append(f"{who}: {turn.said}{note}")
    if turn.bot_interrupted:
        shown.append("       (the bot did not wait for the end)")
    if turn.went_on:
        shown.append("   bot: (went on)" if turn.answered else "   bot: (no answer)")
    elif turn.heard or turn.answered:
        shown.append(f"   bot: {turn.heard or '(no words)'}{_latency(turn)}")
    elif turn.kind != "wait":
        shown.append("   bot: (no answer)")
    return shown


def answered(phone: Phone, expected: int) -> bool:
    """Whether the bot greeted and answered each of the `expected` items."""
    turns = [turn for turn in phone.turns if turn.kind != "greeting"]
    spoken_over = len(turns) > 0 and turns[0].over_bot
    greeted = phone.greeting.answered or spoken_over
    return greeted and len(turns) == expected and all(answers(turn) for turn in turns)


def answers(turn: Turn) -> bool:
    """A silence need not be answered; all else must be."""
    return turn.answered or turn.kind == "wait"


def as_json(phone: Phone, expected: int, ended_by: str) -> dict[str, Any]:
    """The whole call. Positions are 8 kHz samples of the call's own clock."""
    stream = phone.stream
    return {
        "call_sid": phone.to.call_sid,
        "answered": answered(phone, expected),
        "greeting": phone.greeting.heard,
        "greeting_ms": _rounded(phone.greeting.latency_ms),
        "turns": [_turn(turn) for turn in phone.turns[1:]],
        "ended_by": ended_by,
        "close_code": phone.line.close_code,
        "apology": phone.apology,
        "duration_s": round(stream.position / RATE_HZ, 2),
        "cut_ms": round(phone.line.cut_samples / 8),
        "gaps": gaps(phone),
        "faults": {"count": stream.fault_count, "kinds": sorted(set(stream.faults))},
    }


def gaps(phone: Phone) -> dict[str, float]:
    """Where the play-out buffer ran dry for 20 to 500 ms: how often, and the worst."""
    spans = phone.stream.playout.audio
    found = [(b.start - a.end) / 8 for a, b in itertools.pairwise(spans)]
    dry = [gap for gap in found if 20 <= gap <= 500]
    return {"count": len(dry), "worst_ms": max(dry, default=0.0)}


def summary(phone: Phone, ended_by: str, turns: Sequence[Turn]) -> str:
    """The last line."""
    latencies = sorted(turn.latency_ms for turn in turns[1:] if turn.latency_ms is not None)
    middle = f", median answer after {latencies[len(latencies) // 2]:.0f} ms" if latencies else ""
    who = {"bot": "the bot hung up", "caller": "the caller hung up", "timeout": "timed out"}
    return f"{who[ended_by]} after {phone.stream.position / RATE_HZ:.1f} s{middle}"


def _latency(turn: Turn) -> str:
    if turn.latency_ms is None:
        return ""
    what = "after " if turn.kind != "greeting" else "from the start: "
    return f"  [{what}{turn.latency_ms:.0f} ms]"


def _turn(turn: Turn) -> dict[str, Any]:
    return {
        "kind": turn.kind,
        "said": turn.said,
        "heard": turn.heard,
        "answered": turn.answered,
        "latency_ms": _rounded(turn.latency_ms),
        "audible_ms": _rounded(turn.audible_ms),
        "over_bot": turn.over_bot,
        "went_on": turn.went_on,
        "interrupted_by": turn.interrupted_by,
        "caller": [turn.caller.start, turn.caller.end] if turn.caller else None,
        "bot": [turn.reply.start, turn.reply.end] if turn.reply else None,
        "clear_at": turn.clear_at,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
