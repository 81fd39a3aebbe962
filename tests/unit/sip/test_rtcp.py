"""Reports both ways: loss, jitter, round trip, and what is no report."""

from __future__ import annotations

import pytest
from aiortp import RtcpByePacket, RtcpPacket, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip.rtcp import Reports, opinion
from telebot.sip.rtp_in import RtpIn
from telebot.sip.rtp_out import RtpOut

pytestmark = pytest.mark.unit


class Side:
    """One end of a call: its reports, what it heard and what it sent, on a clock of its own."""

    def __init__(self, ssrc: int) -> None:
        self.now = 1_700_000_000.0
        self.ssrc = ssrc
        self.reports = Reports(ssrc, f"{ssrc}@test", lambda: self.now)
        self.heard = RtpIn(lambda ulaw, at_ms: None)
        self.sent = RtpOut(ssrc, 0, 0)
        self.sent.use(0, None, 20, None)

    def hear(self, seqs, ssrc: int = 9) -> None:
        for seq in seqs:
            self.heard.packet(seq, 160 * seq, b"a" * 160, seq * 0.02)
            self.heard.tick(seq * 0.02)

    def report(self, their_ssrc: int) -> bytes:
        return self.reports.report(self.heard, self.sent, their_ssrc, 0)


def test_a_side_that_sent_nothing_reports_what_it_heard():
    side = Side(1)
    side.hear(range(100))
    first, names = RtcpPacket.parse(side.report(9))
    assert isinstance(first, RtcpRrPacket)
    assert isinstance(names, RtcpSdesPacket)
    (block,) = first.reports
    assert (block.ssrc, block.packets_lost, block.fraction_lost) == (9, 0, 0)
    assert block.highest_sequence == 99


def test_the_share_lost_is_that_since_the_last_report():
    side = Side(1)
    side.hear(seq for seq in range(100) if seq % 4)
    side.report(9)
    side.hear(range(100, 200))
    (block,) = RtcpPacket.parse(side.report(9))[0].reports
    assert block.fraction_lost == 0
    assert block.packets_lost == 24  # of 199: the very first packet came as the second


def test_both_sides_learn_the_round_trip():
    we, they = Side(1), Side(2)
    for side in (we, they):
        side.sent.beat(2, 0.0, lambda data: None)
        side.hear([1])
    they.now += 123.4  # another clock
    they.reports.arrived(we.report(2))
    for side in (we, they):
        side.now += 2.0
    data = they.report(1)
    assert isinstance(RtcpPacket.parse(data)[0], RtcpSrPacket)
    we.now += 0.08
    assert we.reports.arrived(data)
    assert we.reports.round_trip_s == pytest.approx(0.08, abs=0.001)
    assert we.reports.their_lost == 0.0


def test_a_block_about_somebody_else_is_not_ours():
    we, they = Side(1), Side(2)
    they.hear([1])
    we.reports.arrived(they.report(77))
    assert we.reports.their_lost is None


def test_a_clock_that_was_set_gives_no_round_trip():
    we, they = Side(1), Side(2)
    we.sent.beat(2, 0.0, lambda data: None)
    they.hear([1])
    they.reports.arrived(we.report(2))
    we.now -= 3600
    we.reports.arrived(they.report(1))
    assert we.reports.round_trip_s is None


def test_goodbye_is_a_whole_compound_packet():
    side, other = Side(1), Side(2)
    packets = RtcpPacket.parse(side.reports.goodbye())
    assert [type(packet) for packet in packets] == [RtcpRrPacket, RtcpSdesPacket, RtcpByePacket]
    assert other.reports.arrived(side.reports.goodbye())
    assert other.reports.left


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\x80\xc8\x00",
        b"\x80\xc8\x00\x06" + b"\0" * 4,
        b"\x80\xc9\xff\xff",
        b"\0" * 8,
    ],
)
def test_what_is_no_report(data):
    assert not Side(1).reports.arrived(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_report_or_none(data):
    assert Side(1).reports.arrived(data) in (True, False)


@given(
    st.sampled_from([200, 201, 202, 203, 204, 205, 206, 207]),
    st.integers(0, 31),
    st.booleans(),
    st.binary(max_size=120),
)
def test_any_body_under_a_right_header_is_a_report_or_none(kind, count, padded, body):
    body = body[: len(body) // 4 * 4]
    head = bytes([0x80 | 0x20 * padded | count, kind]) + (len(body) // 4).to_bytes(2, "big")
    assert Side(1).reports.arrived(head + body) in (True, False)


def test_intervals_are_five_seconds_spread_and_the_first_is_sooner():
    reports = Side(1).reports
    later = [reports.interval_s() for _ in range(500)]
    assert 2.5 <= min(later) < 3.5
    assert 6.5 < max(later) <= 7.5
    assert max(reports.interval_s(first=True) for _ in range(500)) <= 3.75


@pytest.mark.parametrize(
    ("lost", "way_s", "mos"),
    [
        (0.0, 0.0, 4.41),  # R = 93.2, the best of G.107
        (0.0, 0.15, 4.33),
        (0.03, 0.1, 4.05),  # 80.7
        (0.0, 0.4, 3.05),  # 59.1
        (0.2, 0.1, 2.51),  # 48.7
        (1.0, 0.0, 1.18),
    ],
)
def test_the_opinion_falls_with_loss_and_delay(lost, way_s, mos):
    assert opinion(lost, way_s) == pytest.approx(mos, abs=0.02)


@given(st.floats(0, 1), st.floats(0, 10))
def test_an_opinion_is_between_one_and_five(lost, way_s):
    assert 1 <= opinion(lost, way_s) <= 4.5
