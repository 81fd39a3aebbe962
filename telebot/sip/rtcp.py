"""RTCP of one call: our reports, what theirs say of us, and an estimate of how it sounds. No I/O.

RFC 3550 section 6 (compound packets, intervals, round trip). The packets themselves are aiortp's.
How it sounds is the E-model of ITU-T G.107, simplified as is usual for VoIP (Cole and Rosenbluth,
"Voice over IP performance monitoring", 2001): R = 93.2 - Id(delay) - Ie,eff(loss), with G.711 under
packet loss concealment as ITU-T G.113 appendix I has it (Ie 0, Bpl 25.1), and losses taken for
random. An estimate of what the line allows, not of what the caller or the voice make of it.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable

from aiortp.packet import (
    RtcpByePacket,
    RtcpPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    clamp_packets_lost,
)

from telebot.sip.rtp_in import RtpIn
from telebot.sip.rtp_out import RtpOut

INTERVAL_S = 5.0  # RFC 3550 section 6.2
UNIX_TO_NTP = 2_208_988_800  # seconds from 1900 to 1970
CNAME = 1  # SDES item
LONGEST_TRIP_S = 10.0  # a longer round trip is a clock that was set
BPL = 25.1
MASK = 0xFFFFFFFF


class Reports:
    """`wall` is the time of day in seconds; `ssrc` ours, `cname` the name it has all call long."""

    def __init__(self, ssrc: int, cname: str, wall: Callable[[], float]) -> None:
        self._ssrc = ssrc
        self._names = RtcpSdesPacket([RtcpSourceInfo(ssrc, [(CNAME, cname.encode())])])
        self._wall = wall
        self._last_sender_report = 0  # the middle of its NTP time
        self._last_came = 0.0
        self._expected = self._received = 0  # at our last report
        self.round_trip_s: float | None = None
        self.their_lost: float | None = None  # the share of ours lost on the way, of late
        self.their_total_lost = 0
        self.their_jitter = 0  # samples
        self.left = False  # they said goodbye

    def interval_s(self, first: bool = False) -> float:
        """Until the next report: spread, so that calls do not report all at once."""
        return INTERVAL_S * (0.5 if first else 1.0) * random.uniform(0.5, 1.5)

    def report(self, incoming: RtpIn, outgoing: RtpOut, their_ssrc: int, rtp_ts: int) -> bytes:
        """A report on both ways, `rtp_ts` being the timestamp of audio sent now."""
        blocks = [self._block(incoming, their_ssrc)] if their_ssrc >= 0 else []
        first: RtcpSrPacket | RtcpRrPacket
        if outgoing.packets:
            ntp = int((self._wall() + UNIX_TO_NTP) * (1 << 32))
            sent = RtcpSenderInfo(ntp, rtp_ts, outgoing.packets & MASK, outgoing.octets & MASK)
            first = RtcpSrPacket(self._ssrc, sent, blocks)
        else:
            first = RtcpRrPacket(self._ssrc, blocks)
        return bytes(first) + bytes(self._names)

    def goodbye(self) -> bytes:
        """We leave (a compound packet begins with a report, RFC 3550 section 6.1)."""
        return (
            bytes(RtcpRrPacket(self._ssrc))
            + bytes(self._names)
            + bytes(RtcpByePacket([self._ssrc]))
        )

    def arrived(self, data: bytes) -> bool:
        """One datagram. False for what is no RTCP."""
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, struct.error):
            return False
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                self._last_sender_report = packet.sender_info.ntp_timestamp >> 16 & MASK
                self._last_came = self._wall()
            if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
                for block in packet.reports:
                    if block.ssrc == self._ssrc:
                        self._read(block)
            elif isinstance(packet, RtcpByePacket):
                self.left = True
        return bool(packets)

    def _read(self, block: RtcpReceiverInfo) -> None:
        self.their_lost = block.fraction_lost / 256
        self.their_total_lost = block.packets_lost
        self.their_jitter = block.jitter
        if block.lsr:
            now = int((self._wall() + UNIX_TO_NTP) * (1 << 16)) & MASK
            trip_s = ((now - block.lsr - block.dlsr) & MASK) / (1 << 16)
            if trip_s < LONGEST_TRIP_S:
                self.round_trip_s = trip_s

    def _block(self, incoming: RtpIn, their_ssrc: int) -> RtcpReceiverInfo:
        """What came of theirs (RFC 3550 section 6.4.1, appendix A.3)."""
        expected, received = incoming.expected, incoming.packets
        missing = (expected - self._expected) - (received - self._received)
        share = 0
        if expected > self._expected and missing > 0:
            share = min(255, (missing << 8) // (expected - self._expected))
        self._expected, self._received = expected, received
        since = self._wall() - self._last_came if self._last_sender_report else 0.0
        return RtcpReceiverInfo(
            ssrc=their_ssrc,
            fraction_lost=share,
            packets_lost=clamp_packets_lost(expected - received),
            highest_sequence=max(0, incoming.highest) & MASK,
            jitter=int(incoming.jitter) & MASK,
            lsr=self._last_sender_report,
            dlsr=int(max(0.0, since) * 65_536) & MASK,
        )


def opinion(lost: float, one_way_s: float) -> float:
    """The mean opinion score (1 to 4.5) to be expected of G.711 with a share `lost` of packets
    missing and this delay from mouth to ear."""
    delay_ms, percent = max(0.0, one_way_s) * 1000, max(0.0, min(1.0, lost)) * 100
    delayed = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    r = max(0.0, 93.2 - delayed - 95 * percent / (percent + BPL))
    return max(1.0, 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r))  # G.107 annex B
