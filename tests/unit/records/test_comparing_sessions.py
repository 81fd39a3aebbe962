"""Realtime sessions under flags: kept with their variant, user and agent, compared by users."""

from __future__ import annotations

from datetime import timedelta

import pytest
from record_scene import START

from telebot.call.model import Usage
from telebot.records import rows
from telebot.records.comparing import Comparing
from telebot.records.reports import Range, Reports

pytestmark = pytest.mark.unit

WHOLE = Range(START - timedelta(days=1), START + timedelta(days=1))
PRICED = {"stt": "local", "llm": "local", "tts": "local"}


def session(scene, name, user, variant, *heard_ms, reason="caller_hangup", provider="local"):
    call = scene.answer(scene.call(name, carrier="", key_id="key-1"))
    call.agent = "night"
    scene.log.chosen(call, user, variant)
    for index, ms in enumerate(heard_ms):
        latency = {} if ms is None else {"heard": ms}
        turn = scene.turn(index, "Hi", latency_ms=latency, providers=PRICED)
        scene.log.turn(call, turn)
    scene.log.used(call, Usage("stt", provider, 60.0, "s"))
    scene.end(call, reason)


async def test_a_session_counts_for_its_variant(scene):
    session(scene, "a", "anna", "voice:new", None, 400.0, 600.0)
    session(scene, "b", "anna", "voice:new", 800.0, reason="server_error")
    session(scene, "c", "ben", "voice:off,who:new", 300.0)
    session(scene, "d", "carl", "voice:new!", 9000.0)
    session(scene, "e", "", "", 9000.0)
    session(scene, "f", "dora", "voice:off", 500.0, provider="nobody/none")
    scene.log.chosen(scene.answer(scene.call("g", carrier="", key_id="key-1")), "x", "voice:new")
    await scene.log.flush()
    arms, complete = await Comparing(scene.store).arms(WHOLE)
    assert complete
    assert set(arms) == {("voice", "realtime"), ("who", "realtime")}
    new, off = arms["voice", "realtime"]["new"], arms["voice", "realtime"]["off"]
    assert set(new.by_user) == {("key-1", "anna")}
    assert new.total("failure_rate") == (1.0, 2.0)
    assert new.total("first_ms") == (1800.0, 3.0)
    assert new.measured("ms") is None, "how long a session lasts says nothing of it"
    assert off.total("first_ms") == (800.0, 2.0)
    assert off.total("cost") == (0.0, 1.0), "one whose price is not known is not counted"
    only, _ = await Comparing(scene.store).arms(Range(WHOLE.since, WHOLE.until, "key-2"))
    assert only == {}


async def test_reports_know_user_variant_and_agent(scene):
    session(scene, "a", "anna", "voice:new", 400.0)
    await scene.log.flush()
    sums = await Reports(scene.store, "USD").sums(WHOLE, ("agent", "user", "variant"))
    assert {key[1:] for key in sums} == {("night", "anna", "voice:new")}


def test_rows_of_older_spills_are_read_still():
    line = b'["linked", {"b_id": "a", "key_id": "k", "user_id": "u"}]'
    assert rows.from_line(line).values["user_id"] == "u"
    work = rows.from_line(b'["work", {"id": "w", "at": "2026-11-20T00:00:00+00:00"}]').values
    assert work["agent"] is None
