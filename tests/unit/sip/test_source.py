"""From whom packets are taken: the described peer, one behind NAT, and nobody else."""

from __future__ import annotations

import pytest

from telebot.sip.sdp import Codec, Direction, Negotiated
from telebot.sip.source import PROBATION, Source

pytestmark = pytest.mark.unit

PEER, NAT, OTHER = ("192.0.2.4", 4000), ("192.0.2.4", 61_000), ("203.0.113.9", 4000)


def described(address: str = "192.0.2.4", port: int = 4000, *, mux: bool = False) -> Negotiated:
    ulaw = Codec(0, "PCMU")
    rtcp = port if mux else port + 1
    sendrecv = Direction.SENDRECV
    return Negotiated(address, port, rtcp, ulaw, (ulaw,), None, frozenset(), 20, sendrecv, mux)


def source(*addresses: str) -> Source:
    one = Source(lambda address: address in (addresses or ("192.0.2.4",)))
    one.use(described())
    return one


def test_the_described_peer_is_believed_at_once_and_nobody_after_it():
    one = source()
    assert one.target == PEER
    assert one.believes(PEER, 1, 1)
    assert one.latched == PEER
    assert not any(one.believes(NAT, 2, seq) for seq in range(50))
    assert one.target == PEER


def test_behind_nat_a_port_is_believed_after_a_few_packets_in_sequence():
    one = source()
    believed = [one.believes(NAT, 5, 65_534 + n & 0xFFFF) for n in range(PROBATION)]
    assert believed == [False] * (PROBATION - 1) + [True]
    assert one.target == NAT
    assert one.rtcp_target == ("192.0.2.4", 61_001)


def test_packets_that_are_guesses_are_not_a_sequence():
    one = source()
    assert not any(one.believes(NAT, n, 7 * n) for n in range(100))
    assert not any(one.believes(("192.0.2.4", 5000 + n), 5, n) for n in range(100))
    assert one.believes(PEER, 1, 1)


def test_an_address_outside_the_trunk_is_never_believed_nor_sent_to():
    one = source()
    assert not any(one.believes(OTHER, 5, seq) for seq in range(100))
    one.use(described("203.0.113.9"))
    assert one.target is None
    assert one.rtcp_target is None
    assert not any(one.believes(OTHER, 5, seq) for seq in range(100))


def test_a_described_address_of_a_private_network_gives_way_to_where_packets_come_from():
    one = source()
    one.use(described("10.0.0.7"))
    assert one.target is None
    assert [one.believes(NAT, 5, n) for n in range(PROBATION)][-1]
    assert one.target == NAT


def test_another_description_unlatches_and_the_same_one_does_not():
    one = source()
    one.believes(PEER, 1, 1)
    one.use(described())
    assert one.latched == PEER
    one.use(described(port=4100))
    assert one.latched is None
    assert one.target == ("192.0.2.4", 4100)
    assert one.believes(("192.0.2.4", 4100), 1, 1)


def test_reports_go_where_the_peer_wants_them_and_come_from_one_port_of_its_address():
    one = source()
    assert one.rtcp_target == ("192.0.2.4", 4001)
    assert not one.reports(("203.0.113.9", 4001))
    assert one.reports(("192.0.2.4", 4444))
    assert one.rtcp_target == ("192.0.2.4", 4444)
    assert not one.reports(("192.0.2.4", 4445))


def test_the_described_peer_of_ip_version_6_is_known_by_address_and_port():
    one = source("2001:db8::4")
    one.use(described("2001:db8::4"))
    assert one.believes(("2001:db8::4", 4000, 0, 0), 1, 1)
    assert one.target == ("2001:db8::4", 4000, 0, 0)
    assert one.rtcp_target == ("2001:db8::4", 4001)
