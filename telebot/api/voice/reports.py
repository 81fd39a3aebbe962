"""`GET /v1/voice/usage`, `/cost-report`, `/analytics`: what was used, what it cost, how it went.

A key that is no admin's sees its own work alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from telebot.api.answers import answer
from telebot.api.calls import Endpoint
from telebot.api.query import Moment, parsed
from telebot.api.voice.budgets import (
    Alert,
    Budgets,
    OwnBudget,
    Projection,
    no_budget,
)
from telebot.api.voice.trials import TrialAnswer, Trials
from telebot.call.errors import ApiError
from telebot.call.ports import WallClock
from telebot.models import LazyModel
from telebot.records.keys import Scope
from telebot.records.reports import By, Keeping, Period, Quality, Range, Reports, Sum, total
from telebot.voice.flags import FlagName
from telebot.voice_settings import VoiceSettings

NANOS = Decimal(1_000_000_000)
LONGEST = timedelta(days=400)
USUAL: dict[str, timedelta] = {
    "hour": timedelta(days=2),
    "day": timedelta(days=30),
    "week": timedelta(weeks=12),
    "month": timedelta(days=365),
}
BY = ("provider", "model", "key", "agent", "kind", "user", "variant")
Groups = Annotated[str, Field(pattern=rf"^({'|'.join(BY)})(,({'|'.join(BY)}))*$")]
# the id of the request's key, or None where it may see all of them
Sees = Callable[[web.Request], str | None]


class RangeQuery(LazyModel):
    """From when to when."""

    model_config = ConfigDict(extra="forbid")

    since: Moment | None = Field(None, description="at or after (RFC 3339; UTC if bare)")
    until: Moment | None = Field(None, description="before; else now")


class UsageQuery(RangeQuery):
    """Parameters of `GET /v1/voice/usage`."""

    by: Groups = Field("provider", description=f"{', '.join(BY)}, or several with commas")


class CostQuery(RangeQuery):
    """Parameters of `GET /v1/voice/cost-report`."""

    period: Literal["hour", "day", "week", "month"] = "day"
    by: Groups = Field("provider", description=f"{', '.join(BY)}, or several with commas")


class AnalyticsQuery(RangeQuery):
    """Parameters of `GET /v1/voice/analytics`."""

    by: Literal["provider", "variant"] = Field(
        "provider", description="variant: also how the variants of flags did, compared"
    )
    flag: FlagName | None = Field(None, description="of this flag alone")


class SumRow(LazyModel):
    """One group. `cost` sums what is known; `unknown` counts what is not."""

    provider: str | None = None
    model: str | None = None
    key: str | None = None
    agent: str | None = None
    kind: str | None = None
    user: str | None = None
    variant: str | None = Field(None, description="of flags: `flag:variant`, several with commas")
    requests: int = Field(description="of `/v1/voice`; a call is none")
    failed: int
    seconds: float
    characters: int
    input_tokens: int
    output_tokens: int
    cost: float
    unknown: int = Field(description="uses whose price is not known")


class UsagePage(LazyModel):
    """`GET /v1/voice/usage`."""

    since: datetime
    until: datetime
    currency: str
    data: list[SumRow]
    total: SumRow
    next_cursor: str | None = None


class Bucket(LazyModel):
    """One period."""

    start: str = Field(description="UTC")
    total: SumRow
    rows: list[SumRow]


class CostReport(LazyModel):
    """`GET /v1/voice/cost-report`."""

    since: datetime
    until: datetime
    period: str
    currency: str
    data: list[Bucket]
    total: SumRow
    projection: Projection
    alerts: list[Alert]
    next_cursor: str | None = None


class QualityRow(LazyModel):
    """One provider's work: how much of it, and its times in ms."""

    provider: str
    kind: str
    done: int
    p50_ms: float | None
    p95_ms: float | None
    first_p50_ms: float | None
    first_p95_ms: float | None


class CacheRow(LazyModel):
    """Sounds that were kept from before, of the requests that wanted that."""

    hits: int
    misses: int
    hit_rate: float | None = Field(description="null where none was wanted")
    saved: float = Field(description="what the hits would have cost, as far as it is known")


class Analytics(LazyModel):
    """`GET /v1/voice/analytics`."""

    since: datetime
    until: datetime
    requests: int
    failed: int
    success_rate: float | None = Field(description="null without a request")
    fallbacks: int = Field(description="requests for which more than one had to be asked")
    errors: dict[str, int]
    cache: CacheRow
    trials: list[TrialAnswer] = Field(description="by flag and kind, with by=variant")
    data: list[QualityRow]
    next_cursor: str | None = None


class ReportsApi:
    """The endpoints, on the records they read."""

    def __init__(
        self,
        reports: Reports,
        sees: Sees,
        now: WallClock,
        settings: VoiceSettings,
        *,
        trials: Trials,
        own: OwnBudget = no_budget,
    ) -> None:
        """`own` tells the budget of a request's key, and when to warn of it."""
        self._reports = reports
        self._sees = sees
        self._now = now
        self._trials = trials
        self._budgets = Budgets(reports, now, settings.monthly_budget, own)

    def endpoints(self) -> list[Endpoint]:
        viewer, wrong = Scope.VIEWER, (400,)
        return [
            Endpoint(
                "GET",
                "/v1/voice/usage",
                self.usage,
                viewer,
                "What was used, and what it cost",
                UsagePage,
                UsageQuery,
                wrong,
            ),
            Endpoint(
                "GET",
                "/v1/voice/cost-report",
                self.cost_report,
                viewer,
                "Costs by hour, day, week or month, with what the month will come to",
                CostReport,
                CostQuery,
                wrong,
            ),
            Endpoint(
                "GET",
                "/v1/voice/analytics",
                self.analytics,
                viewer,
                "How well the work went, and how fast",
                Analytics,
                AnalyticsQuery,
                wrong,
            ),
        ]

    async def usage(self, request: web.Request) -> web.Response:
        query = parsed(UsageQuery, request)
        by = _groups(query.by)
        range_ = self._range(request, query, "day")
        sums = await self._reports.sums(range_, by)
        rows = [_row(one, dict(zip(by, key[1:], strict=True))) for key, one in sums.items()]
        return answer(
            UsagePage(
                since=range_.since,
                until=range_.until,
                currency=self._reports.currency,
                data=_dearest_first(rows),
                total=_row(total(list(sums.values())), {}),
            )
        )

    async def cost_report(self, request: web.Request) -> web.Response:
        query = parsed(CostQuery, request)
        by = _groups(query.by)
        range_ = self._range(request, query, query.period)
        sums = await self._reports.sums(range_, by, query.period)
        buckets: dict[str, list[tuple[dict[str, str], Sum]]] = defaultdict(list)
        for key, one in sums.items():
            buckets[key[0]].append((dict(zip(by, key[1:], strict=True)), one))
        projection = await self._budgets.projection(range_.key_id)
        return answer(
            CostReport(
                since=range_.since,
                until=range_.until,
                period=query.period,
                currency=self._reports.currency,
                data=[_bucket(start, buckets[start]) for start in sorted(buckets)],
                total=_row(total(list(sums.values())), {}),
                projection=projection,
                alerts=await self._budgets.alerts(request, everything=range_.key_id is None),
            )
        )

    async def analytics(self, request: web.Request) -> web.Response:
        query = parsed(AnalyticsQuery, request)
        range_ = self._range(request, query, "day")
        compared = query.by == "variant" or query.flag is not None
        trials = await self._trials.results(range_, query.flag) if compared else []
        found, errors, requests, fallbacks = await self._reports.quality(range_)
        failed = sum(errors.values())
        return answer(
            Analytics(
                since=range_.since,
                until=range_.until,
                requests=requests,
                failed=failed,
                success_rate=round(1 - failed / requests, 4) if requests else None,
                fallbacks=fallbacks,
                errors=errors,
                cache=_cache(await self._reports.keeping(range_)),
                trials=trials,
                data=[_quality(one) for one in sorted(found, key=lambda one: -one.done)],
            )
        )

    def _range(self, request: web.Request, query: RangeQuery, period: Period) -> Range:
        until = query.until or self._now()
        since = query.since or until - USUAL[period]
        if not timedelta(0) < until - since <= LONGEST:
            days = LONGEST.days
            raise ApiError(
                400,
                "invalid_parameter",
                f"since: must lie up to {days} days before until.",
                "since",
            )
        return Range(since, until, self._sees(request))


def _cache(found: Keeping) -> CacheRow:
    return CacheRow(
        hits=found.hits,
        misses=found.asked - found.hits,
        hit_rate=round(found.hits / found.asked, 4) if found.asked else None,
        saved=float(Decimal(found.saved_nanos) / NANOS),
    )


def _groups(text: str) -> list[By]:
    return [each for each in BY if each in text.split(",")]  # type: ignore[misc]


def _row(one: Sum, key: dict[str, str]) -> SumRow:
    named = dict(key)
    if "provider" in named and "model" not in named:
        named["provider"] = named["provider"].partition("/")[0]
    return SumRow(
        **named,
        requests=one.requests,
        failed=one.failed,
        seconds=round(one.seconds, 3),
        characters=one.characters,
        input_tokens=one.tokens_in,
        output_tokens=one.tokens_out,
        cost=float(Decimal(one.amount_nanos) / NANOS),
        unknown=one.unknown,
    )


def _bucket(start: str, rows: list[tuple[dict[str, str], Sum]]) -> Bucket:
    return Bucket(
        start=start,
        total=_row(total([one for _, one in rows]), {}),
        rows=_dearest_first([_row(one, key) for key, one in rows]),
    )


def _dearest_first(rows: list[SumRow]) -> list[SumRow]:
    """One row for each name: providers' models fall together where models are not asked for."""
    merged: dict[tuple[str | None, ...], SumRow] = {}
    for row in rows:
        key = (row.provider, row.model, row.key, row.agent, row.kind, row.user, row.variant)
        known = merged.get(key)
        if known is None:
            merged[key] = row
            continue
        for name in ("requests", "failed", "seconds", "characters", "input_tokens",
                     "output_tokens", "unknown"):  # fmt: skip
            setattr(known, name, getattr(known, name) + getattr(row, name))
        known.cost = float(Decimal(str(known.cost)) + Decimal(str(row.cost)))
    return sorted(merged.values(), key=lambda row: (-row.cost, -row.requests))


def _quality(one: Quality) -> QualityRow:
    return QualityRow(
        provider=one.provider,
        kind=one.kind,
        done=one.done,
        p50_ms=_quantile(one.ms, 0.5),
        p95_ms=_quantile(one.ms, 0.95),
        first_p50_ms=_quantile(one.first_ms, 0.5),
        first_p95_ms=_quantile(one.first_ms, 0.95),
    )


def _quantile(values: list[float], share: float) -> float | None:
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
