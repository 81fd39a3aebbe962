"""Flags: an operator tries something on some of the users and compares how it went.

Who gets what is drawn by a hash of the flag's seed and the user, so that it stays the same on every
server and over restarts, and a rollout that grows keeps those who are in. Pure. Next:
`tailoring.py`; what came of it: `records/comparing.py`.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from pydantic import ConfigDict, Field, model_validator

from telebot.models import LazyModel
from telebot.voice.defaults import Defaults

OFF = "off"  # the variant of those whom a rollout has not reached
PLACED = "!"  # behind a variant that somebody was put into by hand, not drawn
MOST_VARIANTS, MOST_PLACED = 8, 1000
FlagName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,39}$")]
Owned = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}(/[A-Za-z0-9._@:+-]{1,64})?$")]


class Variant(LazyModel):
    """One of the ways that are compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: FlagName
    weight: float = Field(1.0, gt=0, le=1000, description="its share beside the others'")
    settings: Defaults = Field(
        default_factory=lambda: Defaults.model_validate({}),
        description="defaults of requests; empty for the one that all is compared with",
    )
    users: Annotated[tuple[Owned, ...], Field(max_length=MOST_PLACED)] = Field(
        (), description="put in by hand, as `KEY` or `KEY/user`: not counted in comparisons"
    )


class Flag(LazyModel):
    """What is tried, and on how many."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    description: str = Field("", max_length=500)
    enabled: bool = Field(True, description="false: it acts on nobody")
    percent: float = Field(100.0, ge=0, le=100, description="of users who are drawn into it")
    seed: str = Field("", max_length=64, description="another one draws anew; else the name")
    variants: Annotated[tuple[Variant, ...], Field(min_length=1, max_length=MOST_VARIANTS)]

    @model_validator(mode="after")
    def _told_apart(self) -> Flag:
        names = [variant.name for variant in self.variants]
        if len({*names, OFF}) != len(names) + 1:
            raise ValueError(f"variants need names of their own, none is called {OFF!r}")
        return self

    def drawn(self, name: str, owner: str, user: str) -> tuple[str, Defaults | None]:
        """The variant of a user, and what it changes; ``off`` changes nothing."""
        ids = {owner, f"{owner}/{user}"} if user else {owner}
        for exact in (f"{owner}/{user}", owner):  # a user's own place before their application's
            for variant in self.variants:
                if exact in ids and exact in variant.users:
                    return variant.name + PLACED, variant.settings
        seed = self.seed or name
        if _share(seed, "in", owner, user) * 100 >= self.percent:
            return OFF, None
        left = _share(seed, "which", owner, user) * sum(each.weight for each in self.variants)
        for variant in self.variants:
            left -= variant.weight
            if left < 0:
                return variant.name, variant.settings
        return self.variants[-1].name, self.variants[-1].settings


def _share(*parts: str) -> float:
    """A number in [0, 1) that is always the same for these words."""
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:7]) / (1 << 56)
