"""After a crash: closes the calls this server left open, and makes their recordings readable."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from telebot.call.model import Result, State
from telebot.records import rows, wav
from telebot.records.cost import CallUse, Price, Pricing
from telebot.records.recording import RecordingState
from telebot.records.store import Store
from telebot.records.tables import calls, costs, events, notes, turns

log = structlog.get_logger(__name__)

REASON = "server_crashed"


async def recover(store: Store, data: Path, server: str, price: Price, currency: str) -> int:
    """Close every call of `server` that is still open; returns how many there were.

    Its end is the last moment known of it. Calls of other servers on the same database are theirs.
    """
    pricing = Pricing(price, currency)
    async with store.engine.begin() as connection:
        mine = (calls.c.server == server) & calls.c.ended_at.is_(None)
        left = (await connection.execute(select(calls).where(mine))).all()
        for call in left:
            await _close(connection, call, pricing)
        unfinished = (calls.c.server == server) & (calls.c.recording == RecordingState.LIVE)
        columns = (calls.c.id, calls.c.recording_path)
        recordings = (await connection.execute(select(*columns).where(unfinished))).all()
        for call_id, path in recordings:
            values = await asyncio.to_thread(_repaired, data / path)
            await connection.execute(update(calls).where(calls.c.id == call_id).values(values))
    if left:
        log.warning("calls_closed_after_crash", count=len(left))
    return len(left)


async def _close(connection: AsyncConnection, call: Row[Any], pricing: Pricing) -> None:
    ended_at = max(
        filter(None, [call.created_at, call.answered_at, *await _seen(connection, call)])
    )
    use = CallUse()  # what providers reported went with the process
    served = (turns.c.stt, turns.c.llm, turns.c.tts, turns.c.bot_text)
    for turn in await connection.execute(select(*served).where(turns.c.call_id == call.id)):
        use.add_parts(turn._mapping.get, turn.bot_text)
    answered_s = (ended_at - call.answered_at).total_seconds() if call.answered_at else 0.0
    for seq, item in enumerate(use.items(call.carrier, answered_s, pricing)):
        row = rows.cost(call.id, seq, item, pricing.currency)
        await connection.execute(insert(costs).values(row.values))
    await connection.execute(
        update(calls)
        .where(calls.c.id == call.id, calls.c.ended_at.is_(None))
        .values(
            state=State.ENDED.value, ended_at=ended_at, result=Result.FAILED.value, reason=REASON
        )
    )


async def _seen(connection: AsyncConnection, call: Row[Any]) -> Iterable[datetime | None]:
    moments = []
    for column, owner in (
        (events.c.at, events.c.call_id),
        (notes.c.at, notes.c.call_id),
        (turns.c.started_at, turns.c.call_id),
    ):
        latest = select(func.max(column)).where(owner == call.id)
        moments.append((await connection.execute(latest)).scalar())
    return moments


def _repaired(path: Path) -> dict[str, Any]:
    try:
        seconds = wav.repair(path)
    except OSError:
        seconds = None
    if seconds is None:
        return {"recording": RecordingState.FAILED.value, "recording_error": REASON}
    return {"recording": RecordingState.READY.value, "recording_s": seconds}
