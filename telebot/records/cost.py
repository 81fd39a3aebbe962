"""What a call used and what it cost. A price that is not known is None, never 0.

`CallWriter` counts while the call runs and writes the items when it ends. Amounts are millionths of
the currency (`micros`), so that sums are exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from telebot.call.model import Turn

Price = Callable[[str, str], float | None]
"""(kind, provider) to the price of one unit in `currency`; None where it is not known. Kinds and
units: ``carrier`` s, ``stt`` s, ``llm`` replies, ``tts`` characters."""

UNITS = {"carrier": "s", "stt": "s", "llm": "replies", "tts": "characters"}
NO_PRICE_OF_ITS_OWN = frozenset({"local", "dialog", "scripted"})


def built_in(kind: str, provider: str) -> float | None:
    """What runs inside this process costs nothing; of anything else the price is not known."""
    return 0.0 if provider in NO_PRICE_OF_ITS_OWN else None


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of a call's cost. `amount_micros` is None where the price is not known."""

    kind: str
    provider: str
    quantity: float
    unit: str
    amount_micros: int | None


@dataclass(slots=True)
class Usage:
    """What one call used so far, by (kind, provider). Recognisers hear the whole call, so those
    that took part are charged its answered seconds."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, turn: Turn) -> None:
        self.add_parts(turn.providers.get, turn.bot_text)

    def add_parts(self, provider: Callable[[str], str | None], bot_text: str) -> None:
        """Count one turn: `provider` maps stt, llm and tts to who served it, or None."""
        for kind, quantity in (("stt", 0), ("llm", 1), ("tts", len(bot_text))):
            name = provider(kind)
            if name:
                self.counts[kind, name] += quantity

    def items(self, carrier: str, answered_s: float, price: Price) -> list[CostItem]:
        """The lines of the bill; a call that was never answered used nothing that is billed."""
        if answered_s > 0:
            self.counts["carrier", carrier] = 0
        return [
            _item(kind, name, answered_s if UNITS[kind] == "s" else float(count), price)
            for (kind, name), count in sorted(self.counts.items())
        ]


def _item(kind: str, provider: str, quantity: float, price: Price) -> CostItem:
    each = price(kind, provider)
    amount = None if each is None else round(each * quantity * 1_000_000)
    return CostItem(kind, provider, round(quantity, 3), UNITS[kind], amount)


def total(items: Iterable[Any]) -> float | None:
    """The sum of `amount_micros`; None as soon as one of them is not known (the sum of the rest
    would read like the price of the call). 0.0 where nothing was used."""
    amounts = [item.amount_micros for item in items]
    return None if None in amounts else sum(amounts) / 1_000_000
