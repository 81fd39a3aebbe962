"""Each kind of row as one statement that may be said twice: a batch whose commit was lost on the
way is simply written again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Table, bindparam, insert, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import Executable

from telebot.records.rows import Row
from telebot.records.tables import api_keys, calls, costs, events, notes, turns, work

INSERTS = {
    "opened": calls,
    "turn": turns,
    "note": notes,
    "event": events,
    "cost": costs,
    "work": work,
}
# Within one batch the order below is as good as the order of arrival: the updates touch columns of
# their own, a state never overwrites an ending, and the latest state of a call is the one kept.
ORDER = (
    *INSERTS, "dialled", "linked", "chosen", "answered", "state", "recording", "closed", "key_used",
)  # fmt: skip


class Statements:
    """The statements in one database's dialect."""

    def __init__(self, dialect: str) -> None:
        self._by_op: dict[str, Executable] = {
            op: _insert_once(table, dialect) for op, table in INSERTS.items()
        }
        one = calls.c.id == bindparam("b_id")
        live = calls.c.ended_at.is_(None)
        self._by_op |= {
            "dialled": update(calls)
            .where(one)
            .values(carrier_call_id=bindparam("carrier_call_id")),
            "linked": update(calls)
            .where(one)
            .values({name: bindparam(name) for name in ("key_id", "user_id")}),  # of older spills
            "chosen": update(calls)
            .where(one)
            .values({name: bindparam(name) for name in CHOSEN_COLUMNS}),
            "answered": update(calls).where(one).values(answered_at=bindparam("answered_at")),
            "state": update(calls).where(one, live).values(state=bindparam("state")),
            "recording": update(calls)
            .where(one)
            .values({name: bindparam(name) for name in RECORDING_COLUMNS}),
            "closed": update(calls)
            .where(one, live)
            .values({name: bindparam(name) for name in CLOSING_COLUMNS}),
            "key_used": update(api_keys)
            .where(api_keys.c.id == bindparam("b_id"))
            .values(last_used_at=bindparam("last_used_at")),
        }

    async def write(self, connection: AsyncConnection, rows: Iterable[Row]) -> None:
        """All of `rows` inside the connection's transaction."""
        groups: dict[str, list[dict[str, Any]]] = {}
        states: dict[str, dict[str, Any]] = {}
        for row in rows:
            if row.op == "state":
                states[row.values["b_id"]] = row.values
            elif row.op in self._by_op:
                groups.setdefault(row.op, []).append(row.values)
        if states:
            groups["state"] = list(states.values())
        for op in ORDER:
            if op in groups:
                await connection.execute(self._by_op[op], groups[op])


RECORDING_COLUMNS = ("recording", "recording_path", "recording_s", "recording_error")
CHOSEN_COLUMNS = ("key_id", "user_id", "variant", "agent")
CLOSING_COLUMNS = ("state", "ended_at", "result", "reason")


def _insert_once(table: Table, dialect: str) -> Executable:
    if dialect == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    if dialect == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing()
    ignore = "IGNORE" if dialect in ("mysql", "mariadb") else ""
    return insert(table).prefix_with(ignore) if ignore else insert(table)
