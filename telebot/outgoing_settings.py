"""Settings of what goes out: calls that the server makes, and numbers that callers are put through
to. `settings.py` has them among the others.
"""

from __future__ import annotations

from telebot.setting_types import Prefixes, Row, row


class OutboundSettings(Row):
    """Calls that the server makes (`POST /v1/calls`). Nothing is dialled until prefixes are."""

    allowed_prefixes: Prefixes = row(
        (), 'beginnings of numbers that may be dialled, like ["+4420"]; empty: none'
    )
    denied_prefixes: Prefixes = row((), "beginnings of numbers that may not, though allowed above")
    max_per_minute: int = row(30, "more are answered with 429", unit="calls", ge=1, le=10_000)
    answer_within_s: float = row(
        45.0, "a call that nobody has taken is given up after", unit="s", ge=5, le=300
    )
    carrier: str = row("", "who dials where nobody says so; empty: the one that can")
    caller_id: str = row("", "the number that is called from where nobody says so")


class TransferSettings(Row):
    """Putting callers through to a person. Numbers in agents' files are allowed as they stand."""

    allowed_prefixes: Prefixes = row(
        (), 'beginnings of further numbers that callers may be put through to, like ["+4420"]'
    )
    answer_within_s: float = row(
        30.0, "a person who has not answered by then is not waited for", unit="s", ge=5, le=120
    )
