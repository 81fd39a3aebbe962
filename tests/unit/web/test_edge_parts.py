"""What the edge remembers and measures: recent calls, hang-ups, metrics."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY, generate_latest

from telebot.call.ending import termination
from telebot.call.errors import CarrierError
from telebot.call.model import Call, CallOffer, Turn, TurnLatency
from telebot.web.hangups import CONCURRENT, HangUps
from telebot.web.metrics import Metrics
from telebot.web.recent import RecentCalls
from telebot.web.webhooks import media_url

pytestmark = pytest.mark.unit


def _call(sid="CA1"):
    offer = CallOffer("twilio", sid, "+441632960001", "+441632960000")
    return Call(f"id-{sid}", offer, "front-desk", datetime(2026, 1, 1, tzinfo=UTC))


def test_recent_calls_tell_how_they_went():
    recent, call = RecentCalls(), _call()
    assert recent.outcome("twilio", "CA1") == "server_error"
    recent.add(call)
    assert recent.outcome("twilio", "CA1") == "server_error"  # its stream is gone, nobody knows why
    recent.hung_up(call)
    assert recent.outcome("twilio", "CA1") == "bot_hangup"
    call.termination = termination("max_duration")
    assert recent.outcome("twilio", "CA1") == "max_duration"
    assert recent.outcome("telnyx", "CA1") == "server_error"


def test_recent_calls_are_bounded():
    recent = RecentCalls(max_calls=3)
    calls = [_call(f"CA{n}") for n in range(10)]
    for call in calls:
        recent.add(call)
        recent.hung_up(call)
    assert [recent.outcome("twilio", f"CA{n}") for n in (6, 7)] == ["server_error", "bot_hangup"]
    assert len(recent._calls) == len(recent._hung_up) == 3


class Line:
    """A carrier that hangs up when it is let."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.let = asyncio.Event()
        self.now = self.most = self.done = 0

    async def hang_up(self, call: Call) -> None:
        self.now += 1
        self.most = max(self.most, self.now)
        await self.let.wait()
        self.now -= 1
        if self.error:
            raise self.error
        self.done += 1


def _outcomes(metrics, outcome):
    return metrics.registry.get_sample_value("telebot_hangups_total", {"outcome": outcome})


async def test_hang_ups_are_bounded_in_number_and_all_done():
    metrics, line = Metrics(), Line()
    hang_ups = HangUps(metrics)
    for n in range(50):
        hang_ups.begin(line, _call(f"CA{n}"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert (line.now, hang_ups.pending) == (CONCURRENT, 50)
    line.let.set()
    await hang_ups.close()
    assert (line.done, line.most, hang_ups.pending) == (50, CONCURRENT, 0)
    assert _outcomes(metrics, "ok") == 50


@pytest.mark.parametrize("error", [CarrierError("no line"), RuntimeError("our own code")])
async def test_a_failure_is_counted_and_breaks_nothing(error):
    metrics, line = Metrics(), Line(error)
    hang_ups = HangUps(metrics)
    hang_ups.begin(line, _call())
    line.let.set()
    await hang_ups.close()
    assert _outcomes(metrics, "failed") == 1


async def test_what_waits_is_done_at_once_and_what_hangs_is_given_up():
    line, stuck = Line(), Line()
    line.let.set()
    hang_ups = HangUps(Metrics())
    hang_ups.begin(line, _call("CA1"), after_s=3600)
    hang_ups.begin(stuck, _call("CA2"))
    await hang_ups.close(within_s=0.01)
    assert (line.done, stuck.done, hang_ups.pending) == (1, 0, 0)


async def test_a_carrier_that_cannot_hang_up_is_left_alone():
    hang_ups = HangUps(Metrics())
    hang_ups.begin(object(), _call())
    assert hang_ups.pending == 0
    await hang_ups.close()


def test_two_servers_in_one_process_share_no_metrics():
    one, two = Metrics(), Metrics()
    one.frames.inc(5)
    one.gauge("stt_queue", "Utterances waiting", lambda: 7)
    assert b"telebot_media_frames_total 5.0" in generate_latest(one.registry)
    assert b"telebot_stt_queue 7.0" in generate_latest(one.registry)
    assert b"telebot_media_frames_total 0.0" in generate_latest(two.registry)
    assert b"telebot" not in generate_latest(REGISTRY)


def test_totals_and_summaries_are_read_from_those_who_count():
    metrics, counted = Metrics(), [0.0]
    metrics.total("clips", "Clips", lambda: counted[0])
    metrics.summary("wait_seconds", "Waited", lambda: counted[0], lambda: counted[0] / 4)
    counted[0] = 3.0
    value = metrics.registry.get_sample_value
    assert value("telebot_clips_total") == 3
    assert (value("telebot_wait_seconds_count"), value("telebot_wait_seconds_sum")) == (3, 0.75)


def test_the_wait_for_each_reply_is_measured_by_agent_and_part():
    metrics = Metrics()
    kept = []
    log = metrics.metered(
        SimpleNamespace(turn=lambda *turn: kept.append(turn), dialled=0, answered=0, state=0)
    )
    at, call = datetime(2026, 1, 1, tzinfo=UTC), _call()
    for latency in (TurnLatency(), TurnLatency(heard=640.0, stt=180.0), TurnLatency(heard=1900.0)):
        log.turn(call, Turn(0, at, "Hello", "Yes?", "Yes?", latency.stt is None, {}, latency))
    value = metrics.registry.get_sample_value
    heard = {"agent": "front-desk", "part": "heard"}
    assert value("telebot_response_latency_seconds_count", heard) == 2
    assert value("telebot_response_latency_seconds_sum", heard) == pytest.approx(2.54)
    assert value("telebot_response_latency_seconds_bucket", {**heard, "le": "0.7"}) == 1
    assert value("telebot_response_latency_seconds_count", {**heard, "part": "stt"}) == 1
    assert value("telebot_response_latency_seconds_count", {**heard, "part": "transport"}) is None
    assert value("telebot_turns_total", {"agent": "front-desk", "interrupted": "no"}) == 1
    assert len(kept) == 3


@pytest.mark.parametrize(
    ("webhook", "media"),
    [
        ("https://v.example/twilio/voice?agent=a", "wss://v.example/twilio/media"),
        ("http://127.0.0.1:8080/local/voice", "ws://127.0.0.1:8080/local/media"),
        ("https://http.example/voice/twilio/voice", "wss://http.example/voice/twilio/media"),
    ],
)
def test_the_media_url_stands_beside_the_webhook(webhook, media):
    assert media_url(webhook) == media
