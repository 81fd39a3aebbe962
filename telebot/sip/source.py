"""From whom RTP is taken, and to where it is sent: the guard against RTP Bleed. No I/O.

Only addresses that the trunk allows count at all. The first of them that sends from the address and
port of its session description is latched at once; another one (a NAT in between) only after a few
packets in sequence. From then on that address and port alone, until a new session description
names another (https://www.rtpbleed.com; RFC 4961 for sending back to where packets come from).
"""

from __future__ import annotations

from collections.abc import Callable

from telebot.sip.sdp import Negotiated

Address = tuple[str, int]
PROBATION = 3  # packets in sequence before another source than the described one is believed


class Source:
    """`allowed` says whether an IP address belongs to the trunk."""

    def __init__(self, allowed: Callable[[str], bool]) -> None:
        self._allowed = allowed
        self._described: Address | None = None
        self.latched: Address | None = None
        self._rtcp: Address | None = None
        self._rtcp_port = 0
        self._candidate: Address | None = None
        self._ssrc = self._seq = self._seen = 0

    @property
    def target(self) -> Address | None:
        """Where packets are sent: where they come from, until then where the description says."""
        return self.latched or self._described

    @property
    def rtcp_target(self) -> Address | None:
        """Where reports are sent: where theirs come from; until then to the described port, or the
        one next to what was latched instead."""
        if self._rtcp is not None or self.target is None:
            return self._rtcp
        if self.latched in (None, self._described):
            return self.target[0], self._rtcp_port
        return self.target[0], min(self.target[1] + 1, 65_535)

    def reports(self, address: Address) -> bool:
        """Whether a report from there is to be read: from the address that audio comes from, and
        from one port alone."""
        target = self.target
        if target is None or address[0] != target[0] or self._rtcp not in (None, address):
            return False
        self._rtcp = address
        return True

    def use(self, negotiated: Negotiated) -> None:
        """A description; one that names another address or port than before unlatches."""
        described: Address | None = (negotiated.address, negotiated.port)
        if negotiated.port == 0 or not self._allowed(negotiated.address):
            described = None
        self._rtcp_port = negotiated.rtcp_port
        if described != self._described:
            self._described = described
            self.latched = self._candidate = self._rtcp = None

    def believes(self, address: Address, ssrc: int, seq: int) -> bool:
        """Whether a packet that does not come from the latched source is to be taken."""
        if self.latched is not None or not self._allowed(address[0]):
            return False
        if address[:2] == self._described:  # with IPv6 there are two numbers more
            self.latched = address
            return True
        if (address, ssrc, seq) == (self._candidate, self._ssrc, self._seq + 1 & 0xFFFF):
            self._seen += 1
        else:
            self._candidate, self._ssrc, self._seen = address, ssrc, 1
        self._seq = seq
        if self._seen >= PROBATION:
            self.latched = address
        return self.latched is not None
