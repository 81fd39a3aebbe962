"""The writer: what the core says of a call is what the database holds, whatever happens to it."""

from __future__ import annotations

import asyncio
import errno
import sqlite3
from contextlib import closing
from dataclasses import replace
from unittest.mock import Mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_scene import Scene
from sqlalchemy import func, select

from telebot.call.model import Call, CallOffer, Note, State, UnitPrice, Usage, WireEvent
from telebot.records import writer
from telebot.records.reading import CallFilter, summary
from telebot.records.rows import Row, clean, from_line, to_json, to_line
from telebot.records.statements import Statements
from telebot.records.store import RecordsAway
from telebot.records.tables import calls, events

pytestmark = pytest.mark.unit


async def count(scene, table) -> int:
    async with scene.store.reading() as connection:
        return (await connection.execute(select(func.count()).select_from(table))).scalar_one()


class Locked:
    """Another writer holds the database."""

    def __init__(self, path) -> None:
        self.other = sqlite3.connect(path, isolation_level=None)

    def __enter__(self):
        self.other.execute("BEGIN IMMEDIATE")
        return self

    def __exit__(self, *_):
        self.other.execute("ROLLBACK")
        self.other.close()


async def test_a_whole_call(scene, time):
    call = scene.answer(scene.call())
    time.pass_(1)
    scene.log.turn(call, scene.turn(0, bot="Good evening.", latency_ms={"heard": None}))
    scene.log.turn(
        call,
        scene.turn(
            1,
            "A table for four",
            bot="On which day, please?",
            bot_text_heard="On which",
            interrupted=True,
            latency_ms={"heard": 640.5, "stt": 120.0},
            caller_offset_s=2.5,
            bot_offset_s=4.0,
        ),
    )
    scene.log.note(call, Note("booking", {"party": 4, "name": "Johnson"}, time.now()))
    scene.log.event(call, WireEvent(time.now(), 0.25, "clear", {"mark": "m1"}))
    time.pass_(30)
    scene.end(call, "caller_hangup")
    await scene.log.flush()

    record = await scene.reader.call("call-1")
    assert record.state == "ended"
    assert (record.termination.result, record.termination.reason) == ("completed", "caller_hangup")
    assert record.duration_s == 31
    greeting, second = record.turns
    assert (greeting.index, greeting.caller_text, greeting.bot_text) == (0, None, "Good evening.")
    assert (second.index, second.caller_text) == (1, "A table for four")
    assert (second.bot_text_heard, second.interrupted) == ("On which", True)
    assert (second.latency_ms.heard, second.latency_ms.stt) == (640.5, 120.0)
    assert (second.caller_offset_s, second.bot_offset_s) == (2.5, 4.0)
    assert second.providers.llm == "dialog"
    assert [(note.kind, note.fields) for note in record.notes] == [
        ("booking", {"party": 4, "name": "Johnson"})
    ]
    (event,) = (await scene.reader.events("call-1", 10)).data
    assert (event.name, event.offset_s, event.fields) == ("clear", 0.25, {"mark": "m1"})


async def test_a_live_call_is_readable(scene):
    call = scene.answer(scene.call())
    call.state = State.LISTENING
    scene.log.state(call)
    scene.log.turn(call, scene.turn())
    await scene.log.flush()
    record = await scene.reader.call("call-1")
    assert (record.state, record.ended_at, record.termination) == ("listening", None, None)
    assert record.duration_s is None
    assert record.cost.total is None
    assert len(record.turns) == 1


async def test_a_call_of_ours_gets_its_id_when_the_carrier_has_named_it(scene):
    told = {"carrier_call_id": "", "direction": "outbound"}
    call = scene.call("call-1", **told)
    await scene.log.flush()
    assert (await scene.reader.call("call-1")).carrier_call_id == ""
    call.offer = replace(call.offer, carrier_call_id="CA7")
    scene.log.dialled(call)
    scene.end(call, "busy")
    await scene.log.flush()
    row = await scene.reader.call("call-1")
    assert (row.carrier_call_id, row.direction, row.metadata) == ("CA7", "outbound", {})
    assert (row.termination.result, row.termination.reason) == ("unanswered", "busy")
    assert (row.answered_at, row.duration_s, row.cost.total) == (None, 0.0, 0.0)


async def test_what_was_said_of_a_call_when_it_was_placed(scene, time):
    placed = {"order": "7", "what\0": "x\ud800"}
    offer = CallOffer("twilio", "", "+441632960000", "+442079460018", direction="outbound")
    call = Call("call-1", offer, "front-desk", time.now(), metadata=placed)
    scene.log.opened(call)
    await scene.log.flush()
    row = await scene.reader.call("call-1")
    assert row.metadata["order"] == "7"
    [listed] = (await scene.reader.page(CallFilter(direction="outbound"), 10)).data
    assert listed.metadata == row.metadata
    now = summary(call)
    assert now.model_dump(exclude={"metadata"}) == listed.model_dump(exclude={"metadata"})


async def test_the_latest_state_of_a_batch_is_kept_and_none_comes_after_the_end(scene):
    call = scene.call()
    for state in (State.GREETING, State.LISTENING, State.THINKING):
        call.state = state
        scene.log.state(call)
    await scene.log.flush()
    assert (await scene.reader.call("call-1")).state == "thinking"
    scene.end(call)
    call.state = State.SPEAKING
    scene.log.state(call)
    await scene.log.flush()
    scene.log.state(call)
    await scene.log.flush()
    assert (await scene.reader.call("call-1")).state == "ended"


async def test_the_first_ending_stands_in_the_writer_and_in_the_database(scene, time):
    call = scene.call()
    scene.end(call, "silence")
    scene.end(call, "server_error")
    await scene.log.flush()
    late = {"b_id": "call-1", "state": "ended", "ended_at": time.now(), "result": "failed"}
    async with scene.store.writing() as connection:
        await Statements("sqlite").write(connection, [Row("closed", late | {"reason": "other"})])
    assert (await scene.reader.call("call-1")).termination.reason == "silence"


async def test_written_twice_is_written_once(scene, time):
    """The answer to a commit was lost: the same rows are written again."""
    call = scene.call()
    scene.log.turn(call, scene.turn())
    scene.log.event(call, WireEvent(time.now(), None, "start"))
    scene.end(call)
    rows = list(scene.log._queue)
    await scene.log.flush()
    async with scene.store.writing() as connection:
        await Statements("sqlite").write(connection, rows)
    assert (await scene.reader.call("call-1")).turn_count == 1
    assert await count(scene, events) == 1


async def test_flushing_from_two_places_writes_every_row_once(scene):
    for n in range(5):
        scene.call(f"call-{n}")
        both = asyncio.gather(scene.log.flush(), scene.log.flush())
        scene.end(scene.call(f"late-{n}"))
        await both
    await scene.log.flush()
    assert await count(scene, calls) == 10
    assert scene.log.waiting_rows == 0


async def test_a_locked_database_delays_and_loses_nothing(scene):
    call = scene.call()
    with Locked(scene.store.file):
        with pytest.raises(RecordsAway):
            await scene.log.flush()
        scene.end(call)
        with pytest.raises(RecordsAway):
            await scene.log.flush()
    await scene.log.flush()
    assert (await scene.reader.call("call-1")).termination.reason == "caller_hangup"
    assert scene.log.lost_rows == 0


async def test_the_task_retries_with_patience_until_the_database_is_back(tmp_path, time):
    slept: list[float] = []
    with closing(sqlite3.connect(tmp_path / "telebot.db", isolation_level=None)) as other:

        async def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 7:
                other.execute("ROLLBACK")

        scene = Scene(tmp_path, time, sleep=sleep)
        await scene.store.open()
        scene.end(scene.call())
        other.execute("BEGIN IMMEDIATE")
        await scene.log.start()
        while scene.log.waiting_rows:  # noqa: ASYNC110 - the writer tells nobody
            await asyncio.sleep(0)
        await scene.log.close()
    assert slept == [0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0]
    assert (await scene.reader.call("call-1")).state == "ended"
    await scene.store.close()


async def test_past_the_bound_rows_wait_on_disk_in_order(tmp_path, time):
    scene = Scene(tmp_path, time, queue_rows=3)
    await scene.store.open()
    with Locked(scene.store.file):
        for n in range(4):
            call = scene.call(f"call-{n}")
            scene.log.turn(call, scene.turn())
            scene.end(call, "silence")
    spilled = tmp_path / "unwritten.jsonl"
    assert spilled.stat().st_mode & 0o777 == 0o600
    assert scene.log.waiting_rows == 3
    await scene.log.flush()
    assert not spilled.exists()
    for n in range(4):
        record = await scene.reader.call(f"call-{n}")
        assert (record.turn_count, record.termination.reason) == (1, "silence")
    await scene.store.close()


async def test_what_a_stop_could_not_write_the_next_start_does(tmp_path, time):
    async def at_once(_: float) -> None: ...

    first = Scene(tmp_path, time, sleep=at_once)
    await first.store.open()
    call = first.answer(first.call())
    with Locked(first.store.file):
        await first.log.start()
        first.log.turn(call, first.turn(0, "Hello"))
        first.end(call)
        await first.log.close()
        await first.store.close()
    with (tmp_path / "unwritten.jsonl").open("ab") as file:
        file.write(b'["turn", {"call_id": "torn off')
    second = Scene(tmp_path, time)
    await second.store.open()
    await second.log.start()
    record = await second.reader.call("call-1")
    assert (record.state, record.turns[0].caller_text) == ("ended", "Hello")
    assert record.answered_at == call.answered_at
    assert not (tmp_path / "unwritten.jsonl").exists()
    await second.log.close()
    await second.store.close()


async def test_a_full_spill_file_counts_what_it_loses(tmp_path, time):
    scene = Scene(tmp_path, time, queue_rows=0)
    scene.log._spill.max_bytes = 1500
    for n in range(10):
        scene.call(f"call-{n}")
    kept = len((tmp_path / "unwritten.jsonl").read_bytes().splitlines())
    assert 0 < kept < 10
    assert scene.log.lost_rows == 10 - kept
    await scene.log.close()


class NearlyFull:
    """A file on a disk with room for `room` bytes more."""

    def __init__(self, file, room: int) -> None:
        self.file, self.room = file, room

    def __getattr__(self, name):
        return getattr(self.file, name)

    def write(self, data: bytes) -> int:
        done = self.file.write(data[: self.room])
        self.room -= done
        if not done:
            raise OSError(errno.ENOSPC, "No space left on device")
        return done


@pytest.mark.parametrize("room", [0, 100])
async def test_a_disk_that_fills_up_leaves_no_torn_line(tmp_path, time, room):
    scene = Scene(tmp_path, time, queue_rows=0)
    spill = scene.log._spill
    scene.call("call-0")
    disk = spill._file
    spill._file = NearlyFull(disk, room)
    scene.call("call-1")
    spill._file = disk
    scene.call("call-2")
    await scene.log.close()
    assert [row.values["id"] for row in spill.peek(10)] == ["call-0", "call-2"]
    assert scene.log.lost_rows == 1


async def test_a_spill_file_that_was_taken_away_ends_no_writing(tmp_path, time):
    scene = Scene(tmp_path, time, queue_rows=1)
    await scene.store.open()
    await scene.log.start()
    for n in range(3):
        scene.call(f"call-{n}")
    (tmp_path / "unwritten.jsonl").unlink()
    await scene.log.close()
    assert await count(scene, calls) == 1
    await scene.store.close()


async def test_a_spill_file_that_cannot_be_read_is_tried_again(tmp_path, time, monkeypatch):
    async def mend(_: float) -> None:
        monkeypatch.undo()

    scene = Scene(tmp_path, time, queue_rows=1, sleep=mend)
    await scene.store.open()
    await scene.log.start()
    monkeypatch.setattr(scene.log._spill, "peek", Mock(side_effect=OSError(errno.EMFILE, "no")))
    for n in range(3):
        scene.call(f"call-{n}")
    await scene.log.close()
    assert await count(scene, calls) == 3
    await scene.store.close()


async def test_one_row_the_database_refuses_does_not_hold_up_the_others(scene):
    other = scene.call("call-2")
    deleted = scene.call("call-1")
    await scene.log.flush()
    async with scene.store.writing() as connection:
        await connection.execute(calls.delete().where(calls.c.id == "call-1"))
    scene.log.turn(deleted, scene.turn())  # comes after its call was deleted
    scene.log.turn(other, scene.turn())
    scene.end(other)
    await scene.log.flush()
    assert scene.log.lost_rows == 1
    assert (await scene.reader.call("call-2")).turn_count == 1
    assert (await scene.reader.call("call-2")).state == "ended"


async def test_a_flood_of_events_is_bounded(scene, time, monkeypatch):
    monkeypatch.setattr(writer, "EVENTS_PER_CALL", 10)
    call = scene.call()
    for _ in range(50):
        scene.log.event(call, WireEvent(time.now(), None, "dtmf"))
    await scene.log.flush()
    assert await count(scene, events) == 10


HOSTILE = st.text(st.characters(codec=None), max_size=60)  # NUL and lone surrogates too


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    words=HOSTILE,
    number=HOSTILE,
    fields=st.dictionaries(HOSTILE, HOSTILE | st.integers(), max_size=4),
)
async def test_nothing_a_caller_says_stops_the_records(scene, time, words, number, fields):
    call_id = f"call-{scene.time.passed_s:.0f}"
    time.pass_(1)
    call = scene.call(call_id, phone_from=number, carrier_call_id=number)
    scene.log.turn(call, scene.turn(0, words, bot=words))
    scene.log.note(call, Note(words, fields, time.now()))
    await scene.log.flush()
    record = await scene.reader.call(call_id)
    assert scene.log.lost_rows == 0
    assert record.turns[0].caller_text == clean(words, 1000)
    assert record.notes[0].kind == clean(words, 128)
    assert record.model_dump_json()


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.floats() | st.none(), max_size=5))
def test_rows_survive_the_spill_file(fields):
    row = Row("note", {"call_id": "c", "fields": to_json(fields)})
    line = to_line(row)
    assert line.count(b"\n") == 1
    assert from_line(line) == row


@given(st.binary(max_size=200))
def test_a_spill_line_of_junk_is_a_value_error_or_a_row(line):
    try:
        row = from_line(line)
    except (ValueError, TypeError):
        return
    assert isinstance(row, Row)


async def test_a_corrected_note_says_so(scene):
    call, now = scene.answer(scene.call()), scene.time.now()
    for kind, size, replaces in (
        ("booking", 4, False),
        ("message", 0, False),
        ("booking", 5, True),
        ("booking", 2, False),
    ):
        scene.log.note(call, Note(kind, {"size": size}, now, replaces))
    await scene.log.flush()
    notes = (await scene.reader.call(call.id)).notes
    assert [(note.fields["size"], note.replaced) for note in notes] == [
        (4, True),
        (0, False),
        (5, False),
        (2, False),
    ]


async def test_what_a_live_call_costs_its_owner_is_known_before_its_bill(tmp_path, time):
    scene = Scene(tmp_path, time, price=lambda *_: UnitPrice(0.001, "USD"))
    billed: list[tuple[str, int]] = []
    scene.log.billed = lambda owner, at, nanos: billed.append((owner, nanos))
    one = scene.answer(scene.call("one", key_id="key"))
    other = scene.answer(scene.call("other", key_id="another"))
    assert scene.log.live_nanos("key") == 0  # a session has no carrier to be paid
    scene.log.used(one, Usage("tts", "openai/tts-1", 1000, "characters"))
    scene.log.used(other, Usage("tts", "openai/tts-1", 2000, "characters"))
    cost = scene.log.live_nanos("key")
    assert cost == 1_000_000_000
    assert scene.log.live_nanos("another") == 2 * cost
    scene.end(one)
    assert scene.log.live_nanos("key") == 0
    assert billed == [("key", cost)]
    scene.end(other)
