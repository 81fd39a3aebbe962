"""What the key of a request may use: providers and models by name, and whether it may spend.

`routing.py` asks it of every provider; whose key it is, `programs.py` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase

from telebot.providers import registry
from telebot.records.keys import ApiKey, Scope, Tier


@dataclass(frozen=True, slots=True)
class Permit:
    """`models`: ``vendor``, ``vendor/model``, ``vendor/*``; empty: any. Who may not spend
    uses what costs nothing: this machine."""

    models: tuple[str, ...] = ()
    may_spend: bool = True
    tier: Tier = Tier.NORMAL
    monthly_budget: float | None = None

    def opens(self, provider: str, model: str) -> bool:
        """Whether this model of this provider may be asked."""
        if not self.may_spend and provider not in registry.OURS:
            return False
        if provider in registry.OURS - {"local"}:
            return True  # an agent's own brain, which is no provider
        return not self.models or any(
            name == provider or fnmatchcase(f"{provider}/{model}", name) for name in self.models
        )

    def names(self) -> list[str]:
        """The models that stand in it by name."""
        return [name for name in self.models if not set(name) & set("*?[")]

    def told(self) -> str:
        """Why something is not opened, for who asks."""
        if not self.may_spend:
            return (
                "This key may spend nothing, so it may use what runs on this machine (`local`): "
                "give it a monthly budget, or the scope operator"
            )
        return f"This key may use {', '.join(self.models)}"


ANY = Permit()


def permit_of(key: ApiKey | None) -> Permit:
    """A viewer spends what it has been given, and without a budget nothing. A key that is gone
    opens nothing that costs."""
    if key is None:
        return Permit(may_spend=False)
    may_spend = key.scope.allows(Scope.OPERATOR) or key.monthly_budget is not None
    return Permit(key.models, may_spend, key.tier, key.monthly_budget)
