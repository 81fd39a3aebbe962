"""The whole room opened and closed, as `app.py` does."""

from __future__ import annotations

import pytest

from telebot.call.ending import termination
from telebot.call.errors import ConfigError
from telebot.call.model import Call, CallOffer
from telebot.call.ports import CallLog, Recorder
from telebot.records.archive import Archive
from telebot.records.keys import Scope
from telebot.settings import RecordsSettings

pytestmark = pytest.mark.unit


def archive(data, time, **settings) -> Archive:
    return Archive(RecordsSettings(**settings), data, clock=time.clock, now=time.now)


def call(time) -> Call:
    return Call("call-1", CallOffer("twilio", "CA1", "+1", "+2"), "front-desk", time.now())


async def test_a_call_outlives_the_server(tmp_path, time):
    first = archive(tmp_path / "data", time)
    await first.open()
    log: CallLog = first.log
    recorder: Recorder = first.recorder
    talked = call(time)
    log.opened(talked)
    talked.answered_at = time.now()
    log.answered(talked)
    recording = recorder.start(talked)
    assert recording is not None
    recording.caller(b"\x10" * 8000, 0)
    talked.ended_at = time.now()
    log.closed(talked, termination("bot_hangup"))
    await first.close()  # the recording was not closed: the archive does

    second = archive(tmp_path / "data", time)
    await second.open()
    record = await second.reader.call("call-1")
    assert record.termination.reason == "bot_hangup"
    assert (record.recording.state, record.recording.duration_s) == ("ready", 1.0)
    secret = (tmp_path / "data/admin-key").read_text().strip()
    assert await second.keys.check(secret, Scope.ADMIN)
    await second.close()


async def test_a_crash_is_seen_at_the_next_start(tmp_path, time):
    first = archive(tmp_path, time, recording=False)
    await first.open()
    crashed = call(time)
    first.log.opened(crashed)
    assert first.recorder.start(crashed) is None
    await first.close()
    second = archive(tmp_path, time)
    await second.open()
    assert (await second.reader.call("call-1")).termination.reason == "server_crashed"
    await second.close()


async def test_two_servers_do_not_share_a_data_folder(tmp_path, time):
    first, second = archive(tmp_path, time), archive(tmp_path, time)
    await first.open()
    with pytest.raises(ConfigError, match="another telebot"):
        await second.open()
    await second.close()
    await first.close()
