"""What a call used and what it cost. A price that is not known is None, never 0.

`CallWriter` counts while the call runs and writes the items when it ends. Amounts are millionths of
the currency (`micros`), so that sums are exact.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import structlog

from telebot.call.model import Turn, UnitPrice, Usage

log = structlog.get_logger(__name__)

Price = Callable[[str, str, str], UnitPrice | None]
"""(kind, provider, unit) to the price of one unit; None where it is not known. Kinds and units are
those of `call.model.Usage`, and ``carrier`` s, ``llm`` replies."""

# what is counted for a provider that reports no use of its own
GUESSED = {"carrier": "s", "stt": "s", "llm": "replies", "tts": "characters"}
# several measures of the same work: a vendor bills one of them
MEASURES = frozenset({"s", "socket_s", "characters"})
NO_PRICE_OF_ITS_OWN = frozenset({"local", "dialog", "scripted"})


def built_in(kind: str, provider: str, unit: str) -> UnitPrice | None:
    """What runs inside this process costs nothing; of anything else the price is not known."""
    return UnitPrice(0.0, "") if provider in NO_PRICE_OF_ITS_OWN else None


@dataclass(frozen=True, slots=True)
class CostItem:
    """One line of a call's cost. `amount_micros` is None where the price is not known."""

    kind: str
    provider: str
    quantity: float
    unit: str
    amount_micros: int | None


class Pricing:
    """Prices as amounts of one currency. A price in another one is not known here, and said once
    in the log."""

    def __init__(self, price: Price, currency: str) -> None:
        self._price = price
        self.currency = currency
        self._told: set[tuple[str, str]] = set()

    def micros(self, kind: str, provider: str, unit: str, quantity: float) -> int | None:
        """What `quantity` units cost."""
        price = self._price(kind, provider, unit)
        if price is None:
            return None
        if price.amount and price.currency != self.currency:
            if (provider, price.currency) not in self._told:
                self._told.add((provider, price.currency))
                log.warning(
                    "price_in_another_currency",
                    provider=provider,
                    currency=price.currency,
                    records_currency=self.currency,
                )
            return None
        return round(price.amount * quantity * 1_000_000)

    def free(self, kind: str, provider: str) -> bool:
        """Whether its use costs nothing, however much it is."""
        price = self._price(kind, provider, GUESSED.get(kind, "s"))
        return price is not None and not price.amount


Uses = defaultdict[tuple[str, str, str], float]  # by kind, provider, unit


@dataclass(slots=True)
class CallUse:
    """What one call used so far: as its providers report it, else guessed from its turns.
    Recognisers hear the whole call, so those that report nothing and took part are charged its
    answered seconds."""

    own: set[tuple[str, str]] = field(default_factory=set)  # who is paid by whoever talks
    reported: Uses = field(default_factory=lambda: defaultdict(float))
    guessed: Counter[tuple[str, str]] = field(default_factory=Counter)
    _fresh: Uses = field(default_factory=lambda: defaultdict(float))  # since the last turn

    def used(self, usage: Usage) -> None:
        """Count what a provider reports."""
        if usage.own_key:
            self.own.add((usage.kind, usage.provider))
        key = (usage.kind, usage.provider, usage.unit)
        self.reported[key] += usage.quantity
        self._fresh[key] += usage.quantity

    def add(self, turn: Turn) -> None:
        self.add_parts(turn.providers.get, turn.bot_text)

    def add_parts(self, provider: Callable[[str], str | None], bot_text: str) -> None:
        """Count one turn: `provider` maps stt, llm and tts to who served it, or None."""
        for kind, name, quantity in _guesses(provider, bot_text):
            self.guessed[kind, name] += quantity

    def turn_micros(self, turn: Turn, pricing: Pricing) -> int | None:
        """What was used since the turn before this one; None where any of it is not known, as the
        hearing of a recogniser that reports nothing. Call it once a turn."""
        fresh, self._fresh = self._fresh, defaultdict(float)
        amounts = [item.amount_micros for item in _items(fresh, pricing, self.own)]
        for kind, name, quantity in _guesses(turn.providers.get, turn.bot_text):
            if self._reports(kind, name):
                continue
            whole = kind == "stt" and not pricing.free(kind, name)
            amounts.append(
                None if whole else pricing.micros(kind, name, GUESSED[kind], float(quantity))
            )
        return _sum(amounts)

    def items(self, carrier: str, answered_s: float, pricing: Pricing) -> list[CostItem]:
        """The lines of the bill; a call that was never answered used nothing that is guessed."""
        uses = self.reported.copy()
        for (kind, name), count in self.guessed.items():
            if not self._reports(kind, name):
                quantity = answered_s if GUESSED[kind] == "s" else count
                uses[kind, name, GUESSED[kind]] = quantity
        if answered_s > 0 and carrier:
            uses["carrier", carrier, GUESSED["carrier"]] = answered_s
        return list(_items(uses, pricing, self.own))

    def _reports(self, kind: str, name: str) -> bool:
        """Whether this provider said what it used; a model stands behind its provider's name."""
        return any(
            of in (kind, "realtime") and (name == provider or provider.startswith(f"{name}/"))
            for of, provider, _ in self.reported
        )


def _guesses(
    provider: Callable[[str], str | None], bot_text: str
) -> Iterator[tuple[str, str, int]]:
    for kind, quantity in (("stt", 0), ("llm", 1), ("tts", len(bot_text))):
        name = provider(kind)
        if name:
            yield kind, name, quantity


def _items(uses: Uses, pricing: Pricing, own: Set[tuple[str, str]]) -> Iterator[CostItem]:
    """A line for each use; whom somebody else pays (`own`) costs nothing. Of several measures of
    one provider's work the vendor bills one: where the price of that one is known, the others cost
    nothing."""
    amounts = {key: pricing.micros(*key, quantity) for key, quantity in uses.items()}
    billed = {
        (kind, name)
        for (kind, name, unit), amount in amounts.items()
        if unit in MEASURES and amount is not None
    }
    for kind, name, unit in sorted(uses):
        amount = amounts[kind, name, unit]
        measured = amount is None and unit in MEASURES and (kind, name) in billed
        if measured or (kind, name) in own:
            amount = 0
        yield CostItem(kind, name, round(uses[kind, name, unit], 3), unit, amount)


def _sum(amounts: Iterable[int | None]) -> int | None:
    total = 0
    for amount in amounts:
        if amount is None:
            return None
        total += amount
    return total


def total(items: Iterable[Any]) -> float | None:
    """The sum of `amount_micros`; None as soon as one of them is not known (the sum of the rest
    would read like the price of the call). 0.0 where nothing was used."""
    micros = _sum(item.amount_micros for item in items)
    return None if micros is None else micros / 1_000_000
