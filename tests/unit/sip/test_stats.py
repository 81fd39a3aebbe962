"""What calls counted, added up for the metrics."""

from __future__ import annotations

import pytest
from prometheus_client.openmetrics.exposition import generate_latest

from telebot.measures import measure_rtp
from telebot.sip.ports import Ports
from telebot.sip.rtcp import Reports
from telebot.sip.rtp_in import RtpIn
from telebot.sip.rtp_out import RtpOut
from telebot.sip.stats import RtpStats, Totals, gather
from telebot.web.metrics import Metrics

pytestmark = pytest.mark.unit


def test_a_call_of_which_nothing_came_has_no_opinion():
    reports = Reports(1, "a", lambda: 0.0)
    stats = gather(RtpIn(lambda ulaw, at_ms: None), RtpOut(1, 0, 0), reports, 20, {})
    assert stats.mos is stats.sent_mos is stats.round_trip_ms is stats.sent_lost is None


def test_totals_are_of_calls_and_averages_only_of_those_that_know():
    totals = Totals()
    totals.add(RtpStats(received=100, lost=2, mos=4.0, junk={"source": 3}))
    totals.add(RtpStats(received=50, mos=3.0, round_trip_ms=80.0, junk={"source": 1}))
    totals.add(RtpStats(sent=7))
    assert [totals.count(name) for name in ("received", "lost", "sent")] == [150, 2, 7]
    assert (totals.calls("mos"), totals.sum("mos")) == (2, 7.0)
    assert (totals.calls("round_trip_ms"), totals.sum("round_trip_ms")) == (1, 80.0)
    assert totals.junk == {"source": 4}


def test_they_are_shown_among_the_metrics():
    metrics, ports = Metrics(), Ports(20_000, 20_009)
    measure_rtp(metrics, ports)
    ports.totals.add(RtpStats(received=100, lost=2, mos=4.0, junk={"source": 3}))
    text = generate_latest(metrics.registry).decode()
    for line in (
        "telebot_rtp_ports_free 5.0",
        "telebot_rtp_lost_total 2.0",
        'telebot_rtp_junk_total{why="source"} 3.0',
        "telebot_rtp_mos_sum 4.0",
        "telebot_rtp_mos_count 1.0",
    ):
        assert line in text
