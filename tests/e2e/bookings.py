"""The conversation of the README, and what is to be left of it in the record."""

from __future__ import annotations

from datetime import date
from typing import Any

EXAMPLE = (
    "Are you open on Mondays?",
    "A table for four on Friday at half past seven, the name is Johnson",
    "Yes please",
    "Goodbye",
)


def check_booking(record: dict[str, Any]) -> None:
    (note,) = record["notes"]
    assert note["kind"] == "booking"
    fields = {name: str(value) for name, value in note["fields"].items()}
    assert fields["party_size"] == "4"
    assert date.fromisoformat(fields["day"]).weekday() == 4
    assert fields["time"].startswith("19:30")
    assert "johnson" in fields["name"].lower()
