"""What is deleted is gone: rows, files, and every byte of them."""

from __future__ import annotations

import asyncio

import pytest

from telebot.call.model import Note, WireEvent
from telebot.records.retention import Retention, StillLive

pytestmark = pytest.mark.unit
DAY_S = 86_400
WORDS = "the caller's secret words"


def retention(scene, days: float = 30, **parts) -> Retention:
    return Retention(scene.store, scene.data, scene.server, days, scene.time.now, **parts)


def spoken(scene, call_id: str):
    """An ended call with something of everything, and its recording's file."""
    call = scene.answer(scene.call(call_id, phone_from="+441632960777"))
    scene.log.turn(call, scene.turn(0, WORDS, bot=WORDS))
    scene.log.note(call, Note("message", {"text": WORDS}, scene.time.now()))
    scene.log.event(call, WireEvent(scene.time.now(), 0.0, "dtmf", {"digits": WORDS}))
    path = scene.data / f"recordings/{scene.time.now():%Y/%m/%d}/{call_id}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"audio")
    scene.log.recording(call_id, "ready", str(path.relative_to(scene.data)), 1.0, None)
    scene.end(call)
    return path


def traces(scene, words: str) -> list[str]:
    """The files of the data folder that still hold `words`."""
    files = (path for path in scene.data.rglob("*") if path.is_file())
    return [path.name for path in files if words.encode() in path.read_bytes()]


async def test_old_calls_go_with_their_recordings_and_leave_no_bytes(scene, time):
    old = spoken(scene, "old")
    time.pass_(20 * DAY_S)
    young = spoken(scene, "young")
    await scene.log.flush()
    assert "telebot.db" in " ".join(traces(scene, WORDS))
    time.pass_(11 * DAY_S)

    assert await retention(scene).once() == 1
    assert await scene.reader.call("old") is None
    assert not old.exists()
    assert not old.parent.exists()
    assert (await scene.reader.call("young")).turns[0].caller_text == WORDS
    assert young.exists()

    time.pass_(20 * DAY_S)
    assert await retention(scene).once() == 1
    assert not young.exists()
    assert (scene.data / "recordings").exists()
    assert traces(scene, WORDS) == []
    assert traces(scene, "+441632960777") == []


async def test_more_than_a_batch(scene, time):
    for n in range(450):
        scene.end(scene.call(f"call-{n}"))
    await scene.log.flush()
    time.pass_(31 * DAY_S)
    assert await retention(scene).once() == 450


async def test_nothing_goes_where_everything_is_kept_or_is_still_up(scene, time):
    scene.call("live")
    spoken(scene, "ended")
    await scene.log.flush()
    time.pass_(4000 * DAY_S)
    assert await retention(scene, days=0).once() == 0
    assert await retention(scene).once() == 1
    assert (await scene.reader.call("live")).state == "ringing"


async def test_one_call_on_request(scene):
    path = spoken(scene, "one")
    scene.call("live")
    await scene.log.flush()
    scene.end(scene.call("unfinished"))
    scene.log.recording("unfinished", "live", "recordings/unfinished.wav", None, None)
    await scene.log.flush()
    for call_id in ("live", "unfinished"):
        with pytest.raises(StillLive):
            await retention(scene).delete(call_id)
    assert await retention(scene).delete("one")
    assert not await retention(scene).delete("one")
    assert not path.exists()
    assert traces(scene, WORDS) == []


async def test_recordings_without_a_record_go_by_their_day(scene, time, tmp_path):
    orphan = tmp_path / "recordings/2026/09/01/lost.wav"
    recent = tmp_path / "recordings/2026/11/19/new.wav"
    for path in (orphan, recent):
        path.parent.mkdir(parents=True)
        path.write_bytes(b"audio")
    (tmp_path / "recordings/2026/99/99").mkdir(parents=True)
    await retention(scene).once()
    assert not orphan.exists()
    assert recent.exists()


async def test_it_runs_at_once_and_every_hour(scene, time):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 2:
            raise asyncio.CancelledError
        time.pass_(31 * DAY_S)
        spoken(scene, "later")
        await scene.log.flush()
        time.pass_(31 * DAY_S)

    with pytest.raises(asyncio.CancelledError):
        await retention(scene, sleep=sleep).run()
    assert slept == [3600.0, 3600.0]
    assert await scene.reader.call("later") is None
