"""What a call may cost (`call.budget`): cheaper providers near it, a polite end when it is used up.

Counts what the call's chains use, by the catalogue's prices, and the carrier's leg by the time.
`parting.py` then finds the moment to say so. The bill itself is the records' (`records/cost.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Protocol

import structlog

from telebot.call.ports import Clock
from telebot.providers.chain import Chain
from telebot.records.cost import Price, Pricing
from telebot.speech.timers import Later, Timers

LOW = 0.8  # of the budget: from here on the cheaper links go first
MICROS = 1_000_000
# An ordinary minute of a call in the units that vendors bill it by: to compare their prices, and to
# price what is reported in another unit.
MINUTE: dict[str, Sequence[dict[str, float]]] = {
    "stt": ({"s": 60}, {"socket_s": 60}),
    "llm": ({"tokens_in": 3000, "tokens_out": 200},),
    "tts": ({"characters": 450}, {"s": 30}, {"text_tokens_in": 110, "audio_tokens_out": 600}),
    # heard all the time, spoken half of it; OpenAI's tokens are 100 ms in and 50 ms out
    "realtime": ({"s": 60}, {"audio_tokens_in": 600, "audio_tokens_out": 600}),
}
UNKNOWN = float("inf")
log = structlog.get_logger()


class Prices:
    """The process's: prices in one currency. What is not known counts as nothing, and is said once
    in the log."""

    def __init__(self, price: Price, currency: str) -> None:
        self._pricing = Pricing(price, currency)
        self._told: set[tuple[str, str, str]] = set()
        self.currency = currency

    def of(self, kind: str, name: str, quantity: float, unit: str) -> float:
        """What this much costs."""
        known = self._micros(kind, name, quantity, unit)
        if known is None:
            known = self._by_the_minute(kind, name, quantity, unit)
        if known is None:
            if (kind, name, unit) not in self._told:
                self._told.add((kind, name, unit))
                log.warning("price not known to the budget", kind=kind, provider=name, unit=unit)
            return 0.0
        return known / MICROS

    def of_minute(self, kind: str, name: str) -> float:
        """What an ordinary minute of a call costs; infinite where that is not known."""
        for measures in MINUTE.get(kind, ()):
            amounts = [self._micros(kind, name, much, unit) for unit, much in measures.items()]
            if None not in amounts:
                return sum(filter(None, amounts)) / MICROS
        return UNKNOWN

    def of_one(self, kind: str, name: str, unit: str) -> float | None:
        """What one unit of use costs; None where that is not known."""
        micros = self._micros(kind, name, 1.0, unit)
        if micros is None:  # billed in another unit
            minute = self.of_minute(kind, name)
            measured = _a_minute(kind, unit)
            micros = None if minute == UNKNOWN or not measured else minute * MICROS / measured
        return None if micros is None else micros / MICROS

    def _micros(self, kind: str, name: str, quantity: float, unit: str) -> float | None:
        # a thousand times as much: fractions of a millionth must not be lost
        micros = self._pricing.micros(kind, name, unit, quantity * 1000)
        return None if micros is None else micros / 1000

    def _by_the_minute(self, kind: str, name: str, quantity: float, unit: str) -> float | None:
        """The price of what its vendor bills in another unit than is reported."""
        minute, measured = self.of_minute(kind, name), _a_minute(kind, unit)
        if not measured or minute == UNKNOWN:
            return None
        return minute * MICROS * quantity / measured


def _a_minute(kind: str, unit: str) -> float:
    """How much of one unit of use an ordinary minute has, where that alone measures it."""
    of = MINUTE.get(kind, ())
    return next((each[unit] for each in of if len(each) == 1 and unit in each), 0.0)


class Payer(Protocol):
    """The call that has a budget."""

    def note_event(self, name: str, **fields: object) -> None: ...

    def budget_spent(self) -> None:
        """Nothing is left of it."""
        ...


class Budget:
    """One call's. Its chains feed `used`; `begin` when its stream is up, `close` at its end."""

    def __init__(
        self, limit: float, prices: Prices, *, carrier: str, clock: Clock, later: Later
    ) -> None:
        self._limit = limit
        self._prices = prices
        self._clock = clock
        self._timers = Timers(later)
        self._used = 0.0
        self._carrier = carrier
        self._carrier_per_s = 0.0
        self._began = 0.0
        self._payer: Payer | None = None
        self._steps: list[tuple[float, Callable[[Payer], None]]] = []
        self._chains: list[Chain] = []
        self._saving = False

    def watch(self, chains: Iterable[Chain]) -> None:
        """These go by what is left of it; some are only made in the middle of a call."""
        for chain in chains:
            self._chains.append(chain)
            if self._saving:
                self._save(chain)

    def begin(self, payer: Payer) -> None:
        """The call is answered: its carrier's clock runs."""
        self._payer, self._began = payer, self._clock()
        if self._carrier:
            self._carrier_per_s = self._prices.of("carrier", self._carrier, 3600, "s") / 3600
        self._steps = [(LOW, self._low), (1.0, self._over)]
        self._look()

    def used(self, kind: str, name: str, quantity: float, unit: str) -> None:
        """A provider was used."""
        self._used += self._prices.of(kind, name, quantity, unit)
        self._look()

    @property
    def spent(self) -> float:
        """What the call has cost until now, as far as prices are known."""
        if self._payer is None:
            return self._used
        return self._used + self._carrier_per_s * (self._clock() - self._began)

    def close(self) -> None:
        """The call is over."""
        self._timers.close()
        self._steps.clear()

    def _look(self) -> None:
        """Do what is due, and look again when the carrier's leg alone will have cost as much."""
        payer = self._payer
        while payer is not None and self._steps:
            share, step = self._steps[0]
            missing = self._limit * share - self.spent
            if missing > 1e-9:
                if self._carrier_per_s:
                    self._timers.after("carrier", missing / self._carrier_per_s, self._look)
                return
            del self._steps[0]
            step(payer)

    def _low(self, payer: Payer) -> None:
        self._note(payer, "low")
        self._saving = True
        for chain in self._chains:
            self._save(chain)

    def _save(self, chain: Chain) -> None:
        chain.save(partial(self._prices.of_minute, chain.kind))

    def _over(self, payer: Payer) -> None:
        self._note(payer, "spent")
        payer.budget_spent()

    def _note(self, payer: Payer, level: str) -> None:
        payer.note_event(
            "budget",
            level=level,
            spent=round(self.spent, 6),
            budget=self._limit,
            currency=self._prices.currency,
        )
