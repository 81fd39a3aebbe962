"""A finished piece of work as it stands in the records. Pure. Next: `books.py`, which makes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from telebot.providers.clips import Use
from telebot.voice.attempts import Attempt
from telebot.voice.pricing import Cost
from telebot.voice.routing import Skipped

HIT, MISS = "hit", "miss"
# columns of the record → the units of use that they count
WHOLE_COUNTS = {
    "characters": ("characters",),
    "tokens_in": ("tokens_in", "cached_tokens_in"),
    "tokens_out": ("tokens_out",),
}


@dataclass(frozen=True, slots=True)
class Done:
    """Who did it, what it cost, how long it took.

    `provider` is empty where nobody did it; `first_ms` is the time to the first output."""

    id: str
    at: datetime
    key_id: str
    work: str
    provider: str
    own_key: bool
    uses: tuple[Use, ...]
    cost: Cost
    ms: float
    first_ms: float | None
    attempts: Sequence[Attempt]
    skipped: Sequence[Skipped] = ()
    error: str = ""
    user: str = ""
    variant: str = ""
    agent: str = ""
    cache: str = ""  # hit or miss, where a kept sound was looked for
    saved: Cost | None = None  # what a hit would have cost

    def values(self) -> dict[str, Any]:
        """By the columns of the record's table."""
        counted: dict[str, float] = {}
        for use in self.uses:
            counted[use.unit] = counted.get(use.unit, 0.0) + use.quantity
        sums = {
            name: [counted[unit] for unit in units if unit in counted]
            for name, units in WHOLE_COUNTS.items()
        }
        whole = {name: int(sum(counts)) if counts else None for name, counts in sums.items()}
        return {
            "id": self.id,
            "at": self.at,
            "key_id": self.key_id,
            "kind": self.work,
            "provider": self.provider,
            "own_key": self.own_key,
            "seconds": counted.get("s"),
            **whole,
            "amount_nanos": 0 if self.own_key else self.cost.nanos,
            "currency": self.cost.currency,
            "ms": self.ms,
            "first_ms": self.first_ms,
            "tried": len(self.attempts),
            "error": self.error,
            "attempts": [made.told() for made in self.attempts],
            "user_id": self.user,
            "variant": self.variant,
            "agent": self.agent,
            "cache": self.cache,
            "saved_nanos": None if self.saved is None else self.saved.nanos,
        }


def new_id() -> str:
    """Of a piece of work (``gen_…``)."""
    return f"gen_{uuid4().hex}"
