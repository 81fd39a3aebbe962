"""What was used and what it cost, summed: voice work that is no call, and the calls' own costs.

One query a table, grouped in the database by period and by what is asked for. Sums are whole
billionths, so nothing is lost in them; a price that is not known is counted, never taken for
nothing. Next: `api/voice/reports.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, case, func, literal, select
from sqlalchemy.sql.functions import FunctionElement

from telebot.records.store import Store
from telebot.records.tables import calls, costs, work

Period = Literal["hour", "day", "week", "month"]
By = Literal["provider", "model", "key", "agent", "kind", "user", "variant"]
MICROS_TO_NANOS = 1000
NANOS = 1_000_000_000
# per dialect: how a moment is written as the beginning of its period, in UTC
SQLITE = {"hour": "%Y-%m-%dT%H:00:00", "day": "%Y-%m-%d", "month": "%Y-%m-01"}
POSTGRES = {"hour": 'YYYY-MM-DD"T"HH24:00:00', "day": "YYYY-MM-DD", "month": "YYYY-MM-01"}


@dataclass(frozen=True, slots=True)
class Range:
    """Which work is meant: from `since` up to `until`, of one key where `key_id` says so: of
    calls its realtime sessions."""

    since: datetime
    until: datetime
    key_id: str | None = None


@dataclass(slots=True)
class Sum:
    """One group's use and cost. `unknown`: uses whose price is not known."""

    amount_nanos: int = 0
    unknown: int = 0
    requests: int = 0
    failed: int = 0
    seconds: float = 0.0
    characters: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def add(self, other: Sum) -> None:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def total(sums: Sequence[Sum]) -> Sum:
    """All of them together."""
    whole = Sum()
    for one in sums:
        whole.add(one)
    return whole


@dataclass(slots=True)
class Quality:
    """How well one provider's work went."""

    provider: str
    kind: str
    done: int = 0
    ms: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Keeping:
    """How often a kept sound was looked for, found, and what that saved in billionths."""

    asked: int
    hits: int
    saved_nanos: int


MOST_TIMED = 20_000  # requests whose times are looked at, the newest


class Reports:
    """Reads sums. Raises `RecordsAway`."""

    def __init__(self, store: Store, currency: str) -> None:
        self._store = store
        self.currency = currency
        self._dialect = store.engine.dialect.name

    async def sums(
        self, range_: Range, by: Sequence[By], period: Period | None = None
    ) -> dict[tuple[str, ...], Sum]:
        """By the beginning of each period ("" without one) and then each of `by`."""
        found: dict[tuple[str, ...], Sum] = defaultdict(Sum)
        async with self._store.reading() as connection:
            rows = (await connection.execute(self._of_work(range_, by, period))).all()
            rows = [*rows, *(await connection.execute(self._of_calls(range_, by, period)))]
        for row in rows:
            key = tuple("" if part is None else str(part) for part in row[: len(by) + 1])
            found[key].add(_sum(row, len(by) + 1))
        return dict(found)

    async def quality(self, range_: Range) -> tuple[list[Quality], dict[str, int], int, int]:
        """Each provider's times; how often work failed, by its code; requests; those for which
        more than one had to be asked."""
        query = (
            select(
                work.c.provider, work.c.kind, work.c.ms, work.c.first_ms, work.c.error, work.c.tried
            )
            .where(*within(range_))
            .order_by(work.c.at.desc())
            .limit(MOST_TIMED)
        )
        found: dict[tuple[str, str], Quality] = {}
        errors: dict[str, int] = defaultdict(int)
        requests = fallbacks = 0
        async with self._store.reading() as connection:
            for row in await connection.execute(query):
                requests += 1
                fallbacks += row.tried > 1
                if row.error:
                    errors[row.error] += 1
                    continue
                one = found.setdefault((row.provider, row.kind), Quality(row.provider, row.kind))
                one.done += 1
                one.ms.append(row.ms)
                if row.first_ms is not None:
                    one.first_ms.append(row.first_ms)
        return list(found.values()), dict(errors), requests, fallbacks

    async def keeping(self, range_: Range) -> Keeping:
        """What became of kept sounds."""
        query = select(
            func.count(work.c.cache),
            func.sum(case((work.c.cache == "hit", 1), else_=0)),
            func.sum(func.coalesce(work.c.saved_nanos, 0)),
        ).where(*within(range_))
        async with self._store.reading() as connection:
            asked, hits, saved = (await connection.execute(query)).one()
        return Keeping(asked, int(hits or 0), int(saved or 0))

    def _of_work(self, range_: Range, by: Sequence[By], period: Period | None) -> Select[Any]:
        groups = [self._period(work.c.at, period), *(_work_column(each) for each in by)]
        query = select(
            *groups,
            func.sum(func.coalesce(work.c.amount_nanos, 0)),
            func.sum(case((work.c.amount_nanos.is_(None) & (work.c.error == ""), 1), else_=0)),
            func.count(),
            func.sum(case((work.c.error != "", 1), else_=0)),
            func.sum(func.coalesce(work.c.seconds, 0.0)),
            func.sum(func.coalesce(work.c.characters, 0)),
            func.sum(func.coalesce(work.c.tokens_in, 0)),
            func.sum(func.coalesce(work.c.tokens_out, 0)),
        )
        return query.where(*within(range_)).group_by(*groups)

    def _of_calls(self, range_: Range, by: Sequence[By], period: Period | None) -> Select[Any]:
        groups = [self._period(calls.c.created_at, period), *(_call_column(each) for each in by)]

        def counted(unit: str) -> FunctionElement[Any]:
            return func.sum(case((costs.c.unit == unit, costs.c.quantity), else_=0.0))

        query = select(
            *groups,
            func.sum(func.coalesce(costs.c.amount_micros, 0)) * MICROS_TO_NANOS,
            func.sum(case((costs.c.amount_micros.is_(None), 1), else_=0)),
            literal(0),
            literal(0),
            counted("s"),
            counted("characters"),
            counted("tokens_in"),
            counted("tokens_out"),
        ).select_from(costs.join(calls, costs.c.call_id == calls.c.id))
        query = query.where(calls.c.created_at >= range_.since, calls.c.created_at < range_.until)
        if range_.key_id is not None:
            query = query.where(calls.c.key_id == range_.key_id)
        return query.group_by(*groups)

    def _period(self, at: ColumnElement[Any], period: Period | None) -> ColumnElement[Any]:
        if period is None:
            return literal("")
        if self._dialect == "postgresql":
            utc = func.timezone("UTC", at)
            if period == "week":
                return func.to_char(func.date_trunc("week", utc), POSTGRES["day"])
            return func.to_char(utc, POSTGRES[period])
        if period == "week":  # the Monday before
            return func.date(at, "-6 days", "weekday 1")
        return func.strftime(SQLITE[period], at)


def within(range_: Range) -> Iterator[ColumnElement[bool]]:
    """What the work of a range fulfils."""
    yield work.c.at >= range_.since
    yield work.c.at < range_.until
    if range_.key_id is not None:
        yield work.c.key_id == range_.key_id


def _work_column(by: By) -> ColumnElement[Any]:
    columns: dict[By, ColumnElement[Any]] = {
        "provider": work.c.provider,
        "model": work.c.provider,
        "key": work.c.key_id,
        "kind": work.c.kind,
        "user": work.c.user_id,
        "variant": work.c.variant,
        "agent": work.c.agent,
    }
    return columns[by]


def _call_column(by: By) -> ColumnElement[Any]:
    columns: dict[By, ColumnElement[Any]] = {
        "provider": costs.c.provider,
        "model": costs.c.provider,
        "key": func.coalesce(calls.c.key_id, ""),
        "kind": costs.c.kind,
        "agent": calls.c.agent,
        "user": calls.c.user_id,
        "variant": calls.c.variant,
    }
    return columns[by]


def _sum(row: Row[Any], start: int) -> Sum:
    amount, unknown, requests, failed, seconds, characters, sent, said = row[start:]
    return Sum(
        int(amount or 0),
        int(unknown or 0),
        int(requests or 0),
        int(failed or 0),
        float(seconds or 0.0),
        int(characters or 0),
        int(sent or 0),
        int(said or 0),
    )
