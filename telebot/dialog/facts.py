"""The facts of an agent as words: "facts.address", "facts.opening_hours"."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from telebot.dialog import speaking
from telebot.dialog.hours import OpeningHours


def opening_hours(facts: Mapping[str, Any]) -> OpeningHours | None:
    """From `opening_hours` and `closed_dates`, already checked; None without them."""
    days = facts.get("opening_hours")
    if not isinstance(days, dict):
        return None
    closed = facts.get("closed_dates", [])
    dates = closed if isinstance(closed, list) else [closed]
    return OpeningHours.of(
        {day: str(text) for day, text in days.items()},
        frozenset(date.fromisoformat(str(text)) for text in dates),
    )


def flat(facts: Mapping[str, Any]) -> dict[str, str]:
    """Every fact by its path ("team.chef") as it is spoken; opening hours as one phrase."""
    spoken: dict[str, str] = {}
    for name, value in facts.items():
        if name == "opening_hours":
            hours = opening_hours({**facts, "closed_dates": []})
            spoken[name] = hours.spoken() if hours else ""
        else:
            spoken.update(_flat_value(name, value))
    return spoken


def _flat_value(path: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {
            deep: text
            for key, item in value.items()
            for deep, text in _flat_value(f"{path}.{key}", item).items()
        }
    if isinstance(value, list):
        return {path: speaking.listing([str(item) for item in value]) if value else ""}
    return {path: "" if value is None else str(value)}
