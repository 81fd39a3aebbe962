"""What the pages show, worked out from a record: durations in words, what was cut, latency bars.

Pure; the templates only put it in place, and escape everything.
"""

from __future__ import annotations

from dataclasses import dataclass

from telebot.records.shape import Latency, Turn

PARTS = (
    ("endpointing", "deciding that the turn was over"),
    ("stt", "recognising the last words"),
    ("llm", "the answer's first words"),
    ("tts", "the voice's first audio"),
    ("transport", "the way to the caller"),
    ("other", "not accounted for"),
)
SLOW_MS = 1200.0


@dataclass(frozen=True, slots=True)
class Part:
    """One stretch of a latency bar: where it begins and how wide it is, in percent of the scale."""

    name: str
    what: str
    ms: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class TurnView:
    """A turn with what its page needs besides."""

    turn: Turn
    heard: str
    cut: str  # what was not played
    rewritten: bool  # what was heard is no beginning of the text
    parts: list[Part]
    total_ms: float | None
    worst: Part | None
    slow: bool


def turn_views(turns: list[Turn]) -> list[TurnView]:
    """All turns of a call, their bars on one scale."""
    totals = [total for turn in turns if (total := _total(turn.latency_ms)) is not None]
    scale = max(totals, default=0.0)
    return [_view(turn, scale) for turn in turns]


def _view(turn: Turn, scale_ms: float) -> TurnView:
    parts = _parts(turn.latency_ms, scale_ms)
    total = _total(turn.latency_ms)
    begins = turn.bot_text.startswith(turn.bot_text_heard)
    return TurnView(
        turn=turn,
        heard=turn.bot_text_heard,
        cut=turn.bot_text[len(turn.bot_text_heard) :] if begins else "",
        rewritten=not begins,
        parts=parts,
        total_ms=total,
        worst=max(parts, key=lambda part: part.ms, default=None),
        slow=total is not None and total > SLOW_MS,
    )


def stages(latency: Latency) -> dict[str, float]:
    """The parts one after another, in milliseconds. Deciding and recognising both run from the end
    of speech, side by side: recognising counts for what it took beyond."""
    deciding = latency.endpointing or 0.0
    found = {
        "endpointing": deciding,
        "stt": max(0.0, (latency.stt or 0.0) - deciding),
        "llm": latency.llm_first_token or 0.0,
        "tts": latency.tts_first_audio or 0.0,
        "transport": max(0.0, latency.transport or 0.0),
    }
    if latency.heard is not None:
        found["other"] = max(0.0, latency.heard - sum(found.values()))
    return {name: ms for name, ms in found.items() if ms > 0}


def _total(latency: Latency) -> float | None:
    staged = sum(stages(latency).values())
    return latency.heard if latency.heard is not None else staged or None


def _parts(latency: Latency, scale_ms: float) -> list[Part]:
    taken = stages(latency)
    whole = max(scale_ms, sum(taken.values()))
    parts, at = [], 0.0
    for name, what in PARTS:
        if name in taken:
            width = 100 * taken[name] / whole
            parts.append(Part(name, what, taken[name], round(at, 3), round(width, 3)))
            at += width
    return parts


def clock(seconds: float | None) -> str:
    """``1:05`` or ``1:02:03``; empty where nothing is known."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def milliseconds(ms: float | None) -> str:
    """``640 ms`` or ``1.24 s``."""
    if ms is None:
        return ""
    return f"{ms:.0f} ms" if ms < 1000 else f"{ms / 1000:.2f} s"


def words(name: str) -> str:
    """``caller_hangup`` as people write it."""
    return name.replace("_", " ")
