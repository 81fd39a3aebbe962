"""What came of the flags: `GET /v1/voice/analytics?by=variant`."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from pydantic import Field

from telebot.models import LazyModel
from telebot.records.choices import Choices
from telebot.records.comparing import METRICS, Arm, Comparing, Measured, Metric, Verdict, difference
from telebot.records.reports import Range
from telebot.voice.flags import OFF


class MeanAnswer(LazyModel):
    """A mean and its 95 % interval; null where too little was measured for one."""

    value: float
    low: float | None
    high: float | None


class VariantAnswer(LazyModel):
    """One variant's work."""

    variant: str
    users: int = Field(description="users who were drawn into it and asked for something")
    requests: int
    failed: int
    failure_rate: MeanAnswer | None
    ms: MeanAnswer | None = Field(description="of what was done")
    first_ms: MeanAnswer | None = Field(description="to the first output")
    cost: MeanAnswer | None = Field(description="of a request whose price is known")


class DifferenceAnswer(LazyModel):
    """A variant less the one that it is compared with, and what can be said of it."""

    variant: str
    metric: Metric
    difference: float
    low: float | None
    high: float | None
    p: float | None = Field(description="that chance alone makes as much of a difference")
    verdict: Verdict


class TrialAnswer(LazyModel):
    """A flag and one kind of work that it acted on."""

    flag: str
    kind: str
    since: datetime = Field(description="the flag's last change, where it is later than was asked")
    base: str = Field(description="what all is compared with: `off`, else the first variant")
    complete: bool = Field(description="false: there are more users than were looked at")
    variants: list[VariantAnswer]
    differences: list[DifferenceAnswer]


class Trials:
    """Compares variants."""

    def __init__(self, comparing: Comparing, choices: Choices) -> None:
        self._comparing = comparing
        self._choices = choices

    async def results(self, range_: Range, flag: str | None) -> list[TrialAnswer]:
        """Of every flag, or of one; each from its last change on: what was tried before was
        something else."""
        known = await self._choices.flags()
        found: list[TrialAnswer] = []
        names = {flag} if flag else {name for name, _ in (await self._comparing.arms(range_))[0]}
        for name in sorted(names):
            since = range_.since
            if name in known:
                since = max(since, known[name].updated_at)
            first = known[name].tree["variants"][0]["name"] if name in known else ""
            arms, complete = await self._comparing.arms(replace(range_, since=since), name)
            for (_, kind), variants in sorted(arms.items()):
                found.append(_trial(name, kind, since, variants, first, complete=complete))
        return found


def _trial(
    flag: str, kind: str, since: datetime, arms: dict[str, Arm], first: str, *, complete: bool
) -> TrialAnswer:
    base = next((name for name in (OFF, first) if name in arms), min(arms))
    means = {
        name: {metric: arm.measured(metric) for metric in METRICS} for name, arm in arms.items()
    }
    others = [name for name in sorted(arms) if name != base]
    differences = []
    for name in others:
        for metric in METRICS:
            one, other = means[name][metric], means[base][metric]
            if one is None or other is None:
                continue
            told = difference(one, other, len(others) * len(METRICS))
            differences.append(
                DifferenceAnswer(
                    variant=name, metric=metric, difference=told.value, low=told.low,
                    high=told.high, p=told.p, verdict=told.verdict,
                )
            )  # fmt: skip
    return TrialAnswer(
        flag=flag,
        kind=kind,
        since=since,
        base=base,
        complete=complete,
        variants=[_variant(name, arms[name], means[name]) for name in [base, *others]],
        differences=differences,
    )


def _variant(name: str, arm: Arm, means: dict[Metric, Measured | None]) -> VariantAnswer:
    failed, requests = arm.total("failure_rate")
    return VariantAnswer(
        variant=name,
        users=len(arm.by_user),
        requests=round(requests),
        failed=round(failed),
        failure_rate=_mean(means["failure_rate"]),
        ms=_mean(means["ms"]),
        first_ms=_mean(means["first_ms"]),
        cost=_mean(means["cost"]),
    )


def _mean(found: Measured | None) -> MeanAnswer | None:
    if found is None:
        return None
    return MeanAnswer(value=found.value, low=found.low, high=found.high)
