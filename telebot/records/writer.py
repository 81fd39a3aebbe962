"""The `CallLog` of the core: every call's record on its way into the database.

Each method puts a row into a bounded queue and returns; one task writes what has gathered, a batch
in a transaction, a few times a second. A database that is locked or away delays the record, and
nothing else: rows wait in memory, past the bound in a spill file. The rows are in `rows.py`, the
SQL in `statements.py`.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from telebot.call.model import Call, Note, Termination, Turn, Usage, WireEvent
from telebot.call.ports import WallClock
from telebot.records import rows
from telebot.records.cost import CallUse, CostItem, Price, Pricing, built_in
from telebot.records.rows import Row
from telebot.records.spill import Spill
from telebot.records.statements import Statements
from telebot.records.store import RecordsAway, Store

log = structlog.get_logger(__name__)

INTERVAL_S = 0.4  # a record is at most this far behind; each flush costs some milliseconds
BATCH_ROWS = 500
QUEUE_ROWS = 20_000  # half a minute of 250 calls, 40 MB
EVENTS_PER_CALL = 20_000
RETRY_S = (0.2, 0.5, 1.0, 2.0, 5.0)
# drivers' own words for what they cannot carry (a number of 65 bits) are not SQLAlchemy's
REFUSED = (SQLAlchemyError, ArithmeticError, ValueError, TypeError)
CLOSE_S = 10.0  # the last flush may take this long; what is left then goes to the spill file


@dataclass(slots=True)
class _Tally:
    """What one live call has used so far."""

    call: Call
    use: CallUse = field(default_factory=CallUse)
    events: int = 0


class CallWriter:
    """Implements `call.ports.CallLog`. Use its methods from the event loop only."""

    def __init__(
        self,
        store: Store,
        data: Path,
        server: str,
        now: WallClock,
        *,
        price: Price = built_in,
        currency: str = "USD",
        queue_rows: int = QUEUE_ROWS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._statements = Statements(store.engine.dialect.name)
        self._server = server
        self._pricing = Pricing(price, currency)
        self._queue: deque[Row] = deque()
        self._queue_rows = queue_rows
        self._spill = Spill(data / "unwritten.jsonl")
        self._tallies: dict[str, _Tally] = {}
        self._now = now
        # told of an owner's bill that is on its way into the records
        self.billed: Callable[[str, datetime, int], None] = lambda owner, at, nanos: None
        # rows of one call sort by arrival, also against rows of an earlier start
        self._seq = itertools.count(int(now().timestamp() * 1_000_000))
        self._sleep = sleep
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._writing = asyncio.Lock()
        self.lost_rows = 0
        self.failures = 0  # in a row; 0 while the database answers

    # --- CallLog -----------------------------------------------------------------------------

    def opened(self, call: Call) -> None:
        self._tallies[call.id] = _Tally(call)
        self._put(rows.opened(call, self._server))

    def dialled(self, call: Call) -> None:
        self._put(rows.dialled(call))

    def answered(self, call: Call) -> None:
        self._put(Row("answered", {"b_id": call.id, "answered_at": call.answered_at}))

    def state(self, call: Call) -> None:
        self._put(Row("state", {"b_id": call.id, "state": call.state.value}))

    def turn(self, call: Call, turn: Turn) -> None:
        tally = self._tallies.get(call.id)
        cost_micros = None
        if tally is not None:
            tally.use.add(turn)
            cost_micros = tally.use.turn_micros(turn, self._pricing)
        if not call.keeps_words:
            said = None if turn.caller_text is None else ""
            turn = replace(turn, caller_text=said, bot_text="", bot_text_heard="")
        self._put(rows.turn(call.id, turn, cost_micros))

    def used(self, call: Call, usage: Usage) -> None:
        tally = self._tallies.get(call.id)
        if tally is not None:
            tally.use.used(usage)
        else:  # its bill is written
            log.warning("use_after_the_end", call_id=call.id, **asdict(usage))

    def note(self, call: Call, note: Note) -> None:
        if not call.keeps_words:
            note = replace(note, fields={})
        self._put(rows.note(call.id, next(self._seq), note))

    def event(self, call: Call, event: WireEvent) -> None:
        tally = self._tallies.get(call.id)
        if tally is not None:
            tally.events += 1
            if tally.events > EVENTS_PER_CALL:
                return
        if not call.keeps_words:
            event = replace(event, fields={})
        self._put(rows.event(call.id, next(self._seq), event))

    def closed(self, call: Call, termination: Termination) -> None:
        tally = self._tallies.pop(call.id, None)
        if tally is None:
            return  # closed before
        end: datetime = call.ended_at or call.created_at
        items = self._bill(tally, end)
        for item in items:
            self._put(rows.cost(call.id, next(self._seq), item, self._pricing.currency))
        if call.offer.key_id:
            self.billed(call.offer.key_id, end, _nanos(items))
        values = {"state": "ended", "result": termination.result.value}
        self._put(
            Row("closed", {"b_id": call.id, "ended_at": end, "reason": termination.reason} | values)
        )

    def live_nanos(self, owner: str) -> int:
        """What an owner's calls that are up have cost until now, as far as prices are known."""
        mine = (each for each in self._tallies.values() if each.call.offer.key_id == owner)
        return sum(_nanos(self._bill(tally, self._now())) for tally in mine)

    def _bill(self, tally: _Tally, end: datetime) -> list[CostItem]:
        call = tally.call
        answered_s = (end - call.answered_at).total_seconds() if call.answered_at else 0.0
        return tally.use.items(call.offer.billed, answered_s, self._pricing)

    def chosen(self, call: Call, user: str, variant: str) -> None:
        """A session's record is this user's of its key's owner ("": of none that is known); it ran
        under these variants of flags, and by the agent that it has now."""
        self._put(rows.chosen(call, user, variant))

    # --- others of this room -----------------------------------------------------------------

    def recording(
        self, call_id: str, state: str, path: str, seconds: float | None, error: str | None
    ) -> None:
        """What became of a call's recording (`recording.py`)."""
        values = {"recording": state, "recording_path": path, "recording_s": seconds}
        self._put(Row("recording", {"b_id": call_id, "recording_error": error} | values))

    def worked(self, values: Mapping[str, Any]) -> None:
        """A piece of voice work that is no call, by the columns of its table."""
        self._put(rows.worked(values))

    def key_used(self, key_id: str, at: datetime) -> None:
        self._put(Row("key_used", {"b_id": key_id, "last_used_at": at}))

    @property
    def waiting_rows(self) -> int:
        """Rows not written yet, without those in the spill file."""
        return len(self._queue)

    # --- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take back what an earlier run could not write, then write behind until `close`."""
        await self._replay()
        self._task = asyncio.create_task(self._run(), name="call-writer")

    async def close(self) -> None:
        """Write what is waiting; what the database does not take in time goes to the spill file."""
        self._stopping.set()
        if self._task is not None:
            try:
                await asyncio.wait_for(self._task, CLOSE_S)
            except TimeoutError:
                log.error("records_database_away", waiting=len(self._queue))
            self._task = None
        if self._queue:
            self._to_spill()
        self._spill.close()

    async def flush(self) -> None:
        """Write everything that waits now. Raises `RecordsAway`, losing nothing."""
        async with self._writing:  # two at once would both take the same rows
            while self._queue:
                batch = list(itertools.islice(self._queue, BATCH_ROWS))
                await self._write(batch)
                for _ in batch:
                    self._queue.popleft()
            if self._spill.waiting:
                await self._replay()

    async def _run(self) -> None:
        while True:
            stopping = self._stopping.is_set()
            try:
                if self._queue or self._spill.waiting:
                    await self.flush()
                self.failures = 0
                if stopping:
                    return
                await self._wait(INTERVAL_S)
            except (RecordsAway, OSError) as error:  # the latter: the spill file cannot be read
                self.failures += 1
                if self.failures == 1 or self.failures % 20 == 0:
                    log.warning("records_unwritten", error=str(error), waiting=len(self._queue))
                if stopping and self.failures > len(RETRY_S):
                    return
                await self._sleep(RETRY_S[min(self.failures, len(RETRY_S)) - 1])

    async def _wait(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    def _put(self, row: Row) -> None:
        # once rows are in the spill file, later ones follow them there: order is kept
        if len(self._queue) < self._queue_rows and not self._spill.waiting:
            self._queue.append(row)
            return
        self._spill_rows([row])

    def _to_spill(self) -> None:
        self._spill_rows(list(self._queue))
        self._queue.clear()

    def _spill_rows(self, waiting: Sequence[Row]) -> None:
        if not self._spill.waiting:
            log.error("records_spilled", path=str(self._spill.path))
        try:
            lost = len(waiting) - self._spill.put(waiting)
        except OSError as error:
            lost = len(waiting)
            log.error("records_spill_failed", error=str(error))
        if lost and not self.lost_rows:
            log.error("records_lost", path=str(self._spill.path))  # once; how many is measured
        self.lost_rows += lost

    async def _replay(self) -> None:
        while self._spill.waiting:
            batch = self._spill.peek(BATCH_ROWS)
            if not batch:
                self._spill.clear()
                return
            await self._write(batch)
            self._spill.taken()

    async def _write(self, batch: Sequence[Row]) -> None:
        try:
            await self._transact(batch)
        except REFUSED:
            for row in batch:  # one row the database will not have must not hold up the others
                await self._write_one(row)

    async def _write_one(self, row: Row) -> None:
        try:
            await self._transact([row])
        except REFUSED as error:
            async with self._store.reading() as connection:  # is it the row, or the database?
                await connection.execute(select(1))
            self.lost_rows += 1
            log.error("record_refused", op=row.op, error=type(error).__name__)

    async def _transact(self, batch: Sequence[Row]) -> None:
        async with self._store.writing() as connection:
            await self._statements.write(connection, batch)


def _nanos(items: Iterable[CostItem]) -> int:
    return 1000 * sum(item.amount_micros or 0 for item in items)
