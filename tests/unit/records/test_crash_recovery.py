"""After a crash nothing is open: every call has an ending, every recording can be heard."""

from __future__ import annotations

import os
import wave

import pytest

from telebot.call.model import Note, WireEvent
from telebot.records import wav
from telebot.records.cost import built_in
from telebot.records.recovery import recover
from telebot.records.writer import CallWriter

pytestmark = pytest.mark.unit


async def recovered(scene) -> int:
    return await recover(scene.store, scene.data, scene.server, built_in, "USD")


async def test_what_was_open_ends_at_the_last_moment_known(scene, time):
    talked, silent = scene.answer(scene.call("talked")), scene.call("silent")
    time.pass_(5)
    scene.log.turn(talked, scene.turn(0, "Hello", bot="Good evening."))
    time.pass_(5)
    scene.log.event(talked, WireEvent(time.now(), 10.0, "mark"))
    last = time.now()
    done = scene.answer(scene.call("done"))
    scene.end(done)
    await scene.log.flush()
    time.pass_(3600)

    assert await recovered(scene) == 2
    record = await scene.reader.call("talked")
    assert (record.termination.result, record.termination.reason) == ("failed", "server_crashed")
    assert (record.state, record.ended_at, record.duration_s) == ("ended", last, 10)
    assert {(item.kind, item.provider, item.amount) for item in record.cost.items} == {
        ("carrier", "twilio", None),
        ("stt", "local", 0.0),
        ("llm", "dialog", 0.0),
        ("tts", "local", 0.0),
    }
    record = await scene.reader.call("silent")
    assert (record.ended_at, record.duration_s) == (silent.created_at, 0)
    assert (await scene.reader.call("done")).termination.reason == "caller_hangup"
    assert await recovered(scene) == 0


async def test_a_note_counts_as_a_sign_of_life(scene, time):
    call = scene.call()
    time.pass_(7)
    scene.log.note(call, Note("message", {}, time.now()))
    await scene.log.flush()
    await recovered(scene)
    assert (await scene.reader.call("call-1")).ended_at == time.now()


async def test_calls_of_another_server_on_the_same_database_are_left_alone(scene, time):
    other = CallWriter(scene.store, scene.data, "other-server", time.now)
    other.opened(scene.call("theirs"))
    scene.log._queue.clear()
    scene.call("mine")
    await other.flush()
    await scene.log.flush()
    assert await recovered(scene) == 1
    assert (await scene.reader.call("theirs")).state == "ringing"


async def test_a_recording_cut_off_by_a_crash_can_be_heard(scene, tmp_path):
    call = scene.call()
    name = "recordings/2026/11/20/call-1.wav"
    descriptor = wav.create(tmp_path / name)
    wav.write_at(descriptor, bytes(8000 * 4 * 2), wav.HEADER_BYTES)  # two seconds, header says none
    os.close(descriptor)
    scene.log.recording(call.id, "live", name, None, None)
    scene.log.recording(scene.call("gone").id, "live", "recordings/2026/11/20/gone.wav", None, None)
    await scene.log.flush()
    await recovered(scene)
    record = await scene.reader.call("call-1")
    assert (record.recording.available, record.recording.duration_s) == (True, 2.0)
    with wave.open(str(await scene.reader.recording("call-1"))) as file:
        assert file.getnframes() == 16000
    gone = (await scene.reader.call("gone")).recording
    assert (gone.state, gone.available, gone.error) == ("failed", False, "server_crashed")
