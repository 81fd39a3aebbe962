"""Whom a session lets do one kind of work: who comes into question, who is passed over and why, in
which order the rest is tried.

The same words as those of `/v1/voice` (`docs/voice.md#who-does-it`). Pure but for the times that it
asks for. Asked by `wishes.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from telebot.providers.registry import Kind
from telebot.speech.chains import Plan

UNKNOWN = float("inf")


class Prices(Protocol):
    """What things cost (`budget.Prices`)."""

    def of_minute(self, kind: str, name: str) -> float:
        """An ordinary minute of a call; infinite where that is not known."""
        ...

    def of_one(self, kind: str, name: str, unit: str) -> float | None:
        """One unit of use; None where that is not known."""
        ...


class Times(Protocol):
    """How quick links are (`chains.Chains`); None where that is not known."""

    def latency_s(self, plan: Plan) -> float | None:
        """To the first output."""
        ...

    def rate(self, plan: Plan) -> float | None:
        """Units of work a second."""
        ...


@dataclass(frozen=True, slots=True)
class Whom:
    """What is wanted of the providers of one kind of work. `most` is the most that one unit of use
    may cost, by the unit; ``minute`` among them is an ordinary minute of a call. `options` are
    settings of one provider each."""

    order: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    allow_fallbacks: bool = True
    ours_only: bool = False
    sort: str = ""
    slow_s: float | None = None
    most: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Providers and models that are named."""
        return (*self.order, *self.only)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """Somebody who could have done it, and why they are not asked."""

    kind: Kind
    provider: str
    why: str

    def told(self) -> dict[str, str]:
        """For who asked."""
        return {"kind": self.kind, "provider": self.provider, "why": self.why}


def why_not(plan: Plan, whom: Whom, prices: Prices) -> str:
    """Why somebody does not come into question; "" where they do."""
    names = {plan.name.partition("/")[0], plan.name}
    if whom.only and not names & set(whom.only):
        return "only"
    if names & set(whom.ignore):
        return "ignore"
    if whom.ours_only and not plan.ours:
        return "data_collection"
    for unit, most in whom.most.items():
        cost = prices.of_minute(plan.kind, plan.name) if unit == "minute" else None
        if unit != "minute":
            cost = 0.0 if plan.ours else prices.of_one(plan.kind, plan.name, unit)
        if not plan.ours and (cost is None or cost == UNKNOWN):
            return "max_price: the price is not known"
        if cost is not None and not plan.ours and cost > most * (1 + 1e-9):
            return f"max_price: {cost:.6g} a {UNITS.get(unit, unit)}"
    return ""


UNITS = {"tokens_in": "token read", "tokens_out": "token written", "characters": "character"}


def ordered(
    plans: Sequence[Plan], first: int, whom: Whom, prices: Prices, times: Times
) -> list[Plan]:
    """Those that may, in the order of trying. The `first` so many were named: they stay."""
    named, rest = list(plans[:first]), list(plans[first:])
    if whom.sort == "price":
        rest.sort(key=lambda plan: 0.0 if plan.ours else prices.of_minute(plan.kind, plan.name))
    elif whom.sort == "latency":
        rest.sort(key=lambda plan: _latency(plan, times))
    elif whom.sort == "throughput":
        rest.sort(key=lambda plan: -(times.rate(plan) or 0.0))
    if (slow := whom.slow_s) is not None:
        rest.sort(key=lambda plan: slow < _latency(plan, times) < UNKNOWN)
    return [*named, *rest]


def _latency(plan: Plan, times: Times) -> float:
    """Of what runs here nothing is measured in the same way."""
    known = None if plan.ours else times.latency_s(plan)
    return UNKNOWN if known is None else known
