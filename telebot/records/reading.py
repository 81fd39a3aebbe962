"""Reads records back: pages of calls, one call with its turns, its events, its recording.

The API and the console stand on this; the shapes are in `shape.py`. Live calls are read like ended
ones, a fraction of a second behind.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy import Row, Select, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from telebot.call.errors import Local
from telebot.call.model import Call
from telebot.records import cost, shape
from telebot.records.recording import RecordingState
from telebot.records.store import Store
from telebot.records.tables import calls, costs, events, notes, turns

MAX_CURSOR_CHARS = 256


class BadCursor(Local):
    """A cursor that this server did not give."""


class NoRecording(Local):
    """Nothing to hear. `code` says why: ``off``, ``live``, ``missing`` or ``elsewhere``."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls to list; None means any. `since` is inclusive, `until` is not; `q` is looked for
    in what was said, the numbers and the carrier's id."""

    carrier: str | None = None
    direction: str | None = None
    agent: str | None = None
    state: str | None = None
    result: str | None = None
    reason: str | None = None
    phone_from: str | None = None
    phone_to: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None

    def conditions(self) -> Iterable[Any]:
        """SQL conditions on `calls`."""
        for item in fields(self):
            value = getattr(self, item.name)
            if value is not None and item.name not in ("since", "until", "q"):
                yield calls.c[item.name] == value
        if self.since is not None:
            yield calls.c.created_at >= self.since
        if self.until is not None:
            yield calls.c.created_at < self.until
        if self.q:
            yield _mentions(self.q)


class CallReader:
    """Reads the records of a store. Every method raises `RecordsAway`. `sees`: by whose API key; a
    session is seen by the key that opened it, and where this is None (an admin, the server)."""

    def __init__(self, store: Store, data: Path, server: str, currency: str) -> None:
        self._store = store
        self._data = data
        self._server = server
        self._currency = currency

    async def page(
        self,
        wanted: CallFilter,
        limit: int,
        cursor: str | None = None,
        *,
        sees: str | None = None,
    ) -> shape.CallPage:
        """Up to `limit` calls, newest first, from `cursor` on; `sees` as everywhere here. Raises
        `BadCursor`."""
        query = select(calls).where(*wanted.conditions(), *_seen(sees))
        if cursor is not None:
            at, call_id = _call_cursor(cursor)
            older = and_(calls.c.created_at == at, calls.c.id < call_id)
            query = query.where(or_(calls.c.created_at < at, older))
        query = query.order_by(calls.c.created_at.desc(), calls.c.id.desc()).limit(limit + 1)
        async with self._store.reading() as connection:
            found = list(await connection.execute(query))
            more, found = len(found) > limit, found[:limit]
            tallies = await _tallies(connection, [row.id for row in found])
        last = found[-1] if more else None
        return shape.CallPage(
            data=[
                shape.CallSummary(**_summary(row, *tallies.get(row.id, (0, None)))) for row in found
            ],
            next_cursor=_encode(last.created_at.isoformat(), last.id) if last else None,
        )

    async def call(self, call_id: str, *, sees: str | None = None) -> shape.CallDetail | None:
        """One call, live or ended; None where there is none."""
        query = select(calls).where(calls.c.id == call_id, *_seen(sees))
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
            if row is None:
                return None
            said = await _all(connection, select(turns).order_by(turns.c.index), call_id)
            noted = await _all(connection, select(notes).order_by(notes.c.seq), call_id)
            items = await _all(connection, select(costs).order_by(costs.c.seq), call_id)
        heard = [turn.heard_ms for turn in said if turn.heard_ms is not None]
        return shape.CallDetail(
            **_summary(row, len(said), max(heard, default=None)),
            cost=self._cost(row, items),
            turns=[_turn(turn) for turn in said],
            notes=_notes(noted),
        )

    async def events(
        self, call_id: str, limit: int, cursor: str | None = None, *, sees: str | None = None
    ) -> shape.EventPage | None:
        """Up to `limit` events, oldest first; None where there is no such call."""
        query = select(events).where(events.c.call_id == call_id).order_by(events.c.seq)
        if cursor is not None:
            query = query.where(events.c.seq > _event_cursor(cursor))
        async with self._store.reading() as connection:
            there = select(calls.c.id).where(calls.c.id == call_id, *_seen(sees))
            if (await connection.execute(there)).first() is None:
                return None
            found = (await connection.execute(query.limit(limit + 1))).all()
        more, found = len(found) > limit, found[:limit]
        return shape.EventPage(
            data=[
                shape.Event(
                    at=row.at,
                    offset_s=row.offset_s,
                    name=row.name,
                    fields=orjson.loads(row.fields),
                )
                for row in found
            ],
            next_cursor=_encode(found[-1].seq) if more else None,
        )

    async def recording(self, call_id: str, *, sees: str | None = None) -> Path | None:
        """The WAV file of a call; None where there is no such call. Raises `NoRecording`."""
        columns = (calls.c.recording, calls.c.recording_path, calls.c.server)
        query = select(*columns).where(calls.c.id == call_id, *_seen(sees))
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            return None
        if row.recording in (RecordingState.OFF, RecordingState.LIVE):
            raise NoRecording(row.recording)
        if row.server != self._server:
            raise NoRecording("elsewhere")
        path = self._data / str(row.recording_path)
        if not path.is_file():
            raise NoRecording("missing")
        return path

    def _cost(self, call: Row[Any], items: list[Row[Any]]) -> shape.Cost:
        return shape.Cost(
            total=None if call.ended_at is None else cost.total(items),
            currency=items[0].currency if items else self._currency,
            items=[
                shape.CostItem(
                    kind=item.kind,
                    provider=item.provider,
                    quantity=item.quantity,
                    unit=item.unit,
                    amount=_amount(item.amount_micros),
                )
                for item in items
            ],
        )


def _seen(sees: str | None) -> list[Any]:
    """What a call fulfils that this key may see: none but its own sessions."""
    return [] if sees is None else [or_(calls.c.key_id.is_(None), calls.c.key_id == sees)]


async def _all(connection: AsyncConnection, query: Select[Any], call_id: str) -> list[Row[Any]]:
    owner = query.selected_columns["call_id"]
    return list(await connection.execute(query.where(owner == call_id)))


async def _tallies(
    connection: AsyncConnection, ids: list[str]
) -> dict[str, tuple[int, float | None]]:
    if not ids:
        return {}
    query = (
        select(turns.c.call_id, func.count(), func.max(turns.c.heard_ms))
        .where(turns.c.call_id.in_(ids))
        .group_by(turns.c.call_id)
    )
    return {row[0]: (row[1], row[2]) for row in await connection.execute(query)}


def _mentions(q: str) -> Any:
    said = exists().where(
        turns.c.call_id == calls.c.id,
        or_(
            turns.c.caller_text.icontains(q, autoescape=True),
            turns.c.bot_text.icontains(q, autoescape=True),
        ),
    )
    named = (calls.c.phone_from, calls.c.phone_to, calls.c.carrier_call_id)
    return or_(said, *(column.contains(q, autoescape=True) for column in named))


def _summary(row: Row[Any], turn_count: int, slowest_ms: float | None) -> dict[str, Any]:
    ended = row.ended_at is not None
    duration_s = (
        (row.ended_at - row.answered_at).total_seconds() if ended and row.answered_at else 0
    )
    playable = row.recording == RecordingState.READY or bool(row.recording_s)
    same = ("id", "carrier", "carrier_call_id", "direction", "phone_from", "phone_to", "agent")
    return {name: getattr(row, name) for name in same} | {
        "state": row.state,
        "started_at": row.created_at,
        "answered_at": row.answered_at,
        "ended_at": row.ended_at,
        "duration_s": max(0.0, duration_s) if ended else None,
        "termination": shape.Termination(result=row.result, reason=row.reason) if ended else None,
        "turn_count": turn_count,
        "slowest_ms": slowest_ms,
        "recording": shape.Recording(
            available=playable,
            state=row.recording,
            duration_s=row.recording_s,
            error=row.recording_error,
        ),
        "metadata": orjson.loads(row.metadata) if row.metadata else {},
    }


def summary(call: Call) -> shape.CallSummary:
    """The row of a call that was placed just now, whether it is written yet or not."""
    offer, ending = call.offer, call.termination
    numbers: dict[str, Any] = {"phone_from": offer.phone_from, "phone_to": offer.phone_to}
    return shape.CallSummary(
        id=call.id,
        carrier=offer.carrier,
        carrier_call_id=offer.carrier_call_id,
        direction=offer.direction,
        **numbers,
        agent=call.agent,
        state=call.state.value,
        started_at=call.created_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        duration_s=0.0 if ending else None,
        termination=shape.Termination(result=ending.result, reason=ending.reason)
        if ending
        else None,
        turn_count=0,
        slowest_ms=None,
        recording=shape.Recording(
            available=False, state=RecordingState.OFF, duration_s=None, error=None
        ),
        metadata=dict(call.metadata),
    )


def _turn(row: Row[Any]) -> shape.Turn:
    return shape.Turn(
        index=row._mapping["index"],  # a row is a tuple, which has an index of its own
        started_at=row.started_at,
        caller_text=row.caller_text,
        bot_text=row.bot_text,
        bot_text_heard=row.bot_text_heard,
        interrupted=row.interrupted,
        providers=shape.Providers(stt=row.stt, llm=row.llm, tts=row.tts),
        latency_ms=shape.Latency(
            heard=row.heard_ms,
            endpointing=row.endpointing_ms,
            stt=row.stt_ms,
            llm_first_token=row.llm_first_token_ms,
            tts_first_audio=row.tts_first_audio_ms,
            transport=row.transport_ms,
        ),
        caller_offset_s=row.caller_offset_s,
        bot_offset_s=row.bot_offset_s,
        cost=_amount(row.cost_micros),
    )


def _amount(micros: int | None) -> float | None:
    return None if micros is None else micros / 1_000_000


def _encode(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _decode(cursor: str) -> list[Any]:
    if len(cursor) > MAX_CURSOR_CHARS:
        raise BadCursor("too long")
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = orjson.loads(raw)
    except (ValueError, binascii.Error):
        raise BadCursor("not a cursor") from None
    if not isinstance(parts, list):
        raise BadCursor("not a cursor")
    return parts


def _call_cursor(cursor: str) -> tuple[datetime, str]:
    match _decode(cursor):
        case [str(at), str(call_id)] if "\0" not in call_id:
            try:
                moment = datetime.fromisoformat(at)
                if moment.tzinfo is not None:
                    return moment.astimezone(UTC), call_id
            except (ValueError, OverflowError):  # the latter: a year that UTC has not
                raise BadCursor("not a cursor") from None
    raise BadCursor("not a cursor of calls")


def _event_cursor(cursor: str) -> int:
    match _decode(cursor):
        case [int(seq)] if -(2**63) <= seq < 2**63:
            return seq
    raise BadCursor("not a cursor of events")


def _notes(rows: Sequence[Row[Any]]) -> list[shape.Note]:
    """A call's notes in order; one that is corrected says so."""
    listed: list[shape.Note] = []
    corrected: set[str] = set()  # kinds whose next earlier note counts no more
    for row in reversed(rows):
        replaced = row.kind in corrected
        (corrected.add if row.replaces else corrected.discard)(row.kind)
        what = orjson.loads(row.fields)
        listed.append(shape.Note(kind=row.kind, fields=what, at=row.at, replaced=replaced))
    return listed[::-1]
