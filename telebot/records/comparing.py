"""How the variants of a flag did, compared so that nobody reads noise as a result.

Users are drawn, not requests, and one user's requests are alike: so each mean is a ratio of sums
over users, and its variance that of the users' own (a ratio estimator over clusters; Cochran,
Sampling Techniques, 3rd ed., section 6.4; for experiments: Deng et al. 2018, "Applying the Delta
Method in Metric Analytics", section 3). Next: `api/voice/trials.py`.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Select, case, func, literal, select

from telebot.call.model import Result
from telebot.records.reports import MICROS_TO_NANOS, NANOS, Range, within
from telebot.records.store import Store
from telebot.records.tables import calls, costs, turns, work

Metric = Literal["failure_rate", "ms", "first_ms", "cost"]
Verdict = Literal["too_few_users", "no_difference_shown", "higher", "lower"]
METRICS: tuple[Metric, ...] = ("failure_rate", "ms", "first_ms", "cost")
LEAST_USERS = 20  # on each side; with fewer the normal law does not hold
SURE_Z, SURE_P = 1.959964, 0.05
MOST_ROWS = 200_000  # users by variant and kind
PLACED = "!"  # put in by hand: no fair draw

Pair = tuple[float, float]  # a sum, and over how many
User = tuple[str, str]  # key and id
Trial = tuple[str, str]  # flag and kind of work


@dataclass(frozen=True, slots=True)
class Measured:
    """A mean with its 95 % interval, which is None where there are too few users for one."""

    value: float
    low: float | None
    high: float | None
    variance: float | None = None
    users: int = 0


@dataclass(slots=True)
class Arm:
    """One variant's work: of each metric the sums of each user."""

    by_user: dict[User, dict[Metric, Pair]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, user: User, sums: Mapping[Metric, Pair]) -> None:
        known = self.by_user[user]
        for metric, (amount, count) in sums.items():
            before = known.get(metric, (0.0, 0.0))
            known[metric] = (before[0] + amount, before[1] + count)

    def total(self, metric: Metric) -> Pair:
        pairs = [sums[metric] for sums in self.by_user.values()]
        return sum(pair[0] for pair in pairs), sum(pair[1] for pair in pairs)

    def measured(self, metric: Metric) -> Measured | None:
        """None where nothing of it was measured."""
        pairs = (sums[metric] for sums in self.by_user.values())
        return measured(pairs, proportion=metric == "failure_rate")


@dataclass(frozen=True, slots=True)
class Difference:
    """How much more one has than the one that all is compared with."""

    value: float
    low: float | None
    high: float | None
    p: float | None
    verdict: Verdict


class Comparing:
    """Reads the work that ran under flags. Raises `RecordsAway`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def arms(
        self, range_: Range, flag: str | None = None
    ) -> tuple[dict[Trial, dict[str, Arm]], bool]:
        """The variants of each flag and kind of work; whether they are all of it. A realtime
        session is one piece of work of the kind ``realtime``: its time to the first output is that
        of its turns, from the end of what was said to the answer."""
        failed = work.c.error != ""
        user = func.coalesce(work.c.user_id, "")
        groups = (work.c.variant, work.c.kind, work.c.key_id, user)
        query = (
            select(
                *groups,
                func.count(),
                func.sum(case((failed, 1), else_=0)),
                func.sum(case((failed, 0.0), else_=work.c.ms)),
                func.sum(case((failed, 0.0), else_=func.coalesce(work.c.first_ms, 0.0))),
                func.sum(case((failed | work.c.first_ms.is_(None), 0), else_=1)),
                func.sum(func.coalesce(work.c.amount_nanos, 0)),
                func.sum(case((work.c.amount_nanos.is_(None), 0), else_=1)),
            )
            .where(*within(range_), work.c.variant.is_not(None))
            .group_by(*groups)
            .limit(MOST_ROWS)
        )
        found: dict[Trial, dict[str, Arm]] = defaultdict(lambda: defaultdict(Arm))
        count = 0
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
            rows = [*rows, *(await connection.execute(_of_sessions(range_)))]
            for row in rows:
                count += 1
                variants, kind, key_id, user_id, *sums = row
                told = _sums([float(each or 0) for each in sums], timed=kind != "realtime")
                for part in variants.split(","):
                    name, _, variant = part.partition(":")
                    if not variant.endswith(PLACED) and flag in (None, name):
                        found[name, kind][variant].add((key_id, user_id), told)
        return {trial: dict(arms) for trial, arms in found.items()}, count < MOST_ROWS


def _of_sessions(range_: Range) -> Select[Any]:
    """The same sums of realtime sessions that are over."""
    mine = (
        calls.c.variant.is_not(None),
        calls.c.ended_at.is_not(None),
        calls.c.created_at >= range_.since,
        calls.c.created_at < range_.until,
        *([] if range_.key_id is None else [calls.c.key_id == range_.key_id]),
    )
    timed = (
        select(turns.c.call_id, func.sum(turns.c.heard_ms).label("ms"),
               func.count(turns.c.heard_ms).label("count"))
        .join(calls, calls.c.id == turns.c.call_id).where(*mine).group_by(turns.c.call_id)
        .subquery()
    )  # fmt: skip
    paid = (
        select(costs.c.call_id, func.sum(func.coalesce(costs.c.amount_micros, 0)).label("micros"),
               func.sum(case((costs.c.amount_micros.is_(None), 1), else_=0)).label("unknown"))
        .join(calls, calls.c.id == costs.c.call_id).where(*mine).group_by(costs.c.call_id)
        .subquery()
    )  # fmt: skip
    known = func.coalesce(paid.c.unknown, 0) == 0
    groups = (calls.c.variant, calls.c.key_id, func.coalesce(calls.c.user_id, ""))
    return (
        select(
            groups[0],
            literal("realtime"),
            *groups[1:],
            func.count(),
            func.sum(case((calls.c.result == Result.FAILED.value, 1), else_=0)),
            literal(0.0),  # how long a session lasts says nothing of how good it was
            func.sum(func.coalesce(timed.c.ms, 0.0)),
            func.sum(func.coalesce(timed.c.count, 0)),
            func.sum(case((known, func.coalesce(paid.c.micros, 0)), else_=0)) * MICROS_TO_NANOS,
            func.sum(case((known, 1), else_=0)),
        )
        .select_from(
            calls.outerjoin(timed, timed.c.call_id == calls.c.id).outerjoin(
                paid, paid.c.call_id == calls.c.id
            )
        )
        .where(*mine)
        .group_by(*groups)
        .limit(MOST_ROWS)
    )


def _sums(sums: Sequence[float], *, timed: bool) -> dict[Metric, Pair]:
    requests, failed, ms, first_ms, with_first, nanos, priced = sums
    return {
        "failure_rate": (failed, requests),
        "ms": (ms, requests - failed if timed else 0.0),
        "first_ms": (first_ms, with_first),
        "cost": (nanos / NANOS, priced),
    }


def measured(pairs: Iterable[Pair], *, proportion: bool = False) -> Measured | None:
    """The ratio of the sums, by its users' own. A proportion's variance is never taken for less
    than that of as many independent requests with one more of either kind (Agresti and Caffo
    2000): none failed does not mean that none will."""
    kept = [(amount, count) for amount, count in pairs if count > 0]
    users, count = len(kept), sum(count for _, count in kept)
    if not kept:
        return None
    total = sum(amount for amount, _ in kept)
    ratio = total / count
    if users < 2:
        return Measured(ratio, None, None, None, users)
    off = sum((amount - ratio * each) ** 2 for amount, each in kept)
    variance = users / (users - 1) * off / count**2
    if proportion:
        share = (total + 1) / (count + 2)
        variance = max(variance, share * (1 - share) / (count + 2))
    reach = _t(users - 1) * math.sqrt(variance)
    low = max(0.0, ratio - reach)  # nothing that is measured here is below nothing
    high = min(1.0, ratio + reach) if proportion else ratio + reach
    return Measured(ratio, low, high, variance, users)


def difference(one: Measured, base: Measured, comparisons: int) -> Difference:
    """`one` less `base`. Of several `comparisons` at once each must be that much surer
    (Bonferroni)."""
    value = one.value - base.value
    few = min(one.users, base.users) < LEAST_USERS
    if few or one.variance is None or base.variance is None:
        return Difference(value, None, None, None, "too_few_users")
    spread = math.sqrt(one.variance + base.variance)
    p = math.erfc(abs(value) / spread / math.sqrt(2)) if spread else float(value == 0)
    reach = SURE_Z * spread
    verdict: Verdict = "no_difference_shown"
    if p < SURE_P / max(1, comparisons):
        verdict = "higher" if value > 0 else "lower"
    return Difference(value, value - reach, value + reach, p, verdict)


def _t(freedom: int) -> float:
    """Student's t at 97.5 % (Abramowitz and Stegun 26.7.5); exact to 1 % from three users on."""
    z = SURE_Z
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms)) if freedom > 1 else 12.706
