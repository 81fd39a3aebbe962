"""The UDP ports of RTP: pairs of an even one and the next (RFC 3550 section 11), out of a range.

One `Ports` serves the process, and owns what its streams share: the range, the `Beats` and the
totals. A pair that was given back is the last to be given out again, so that late packets of a call
that is over do not reach the next one.
"""

from __future__ import annotations

import errno
import random
import socket
from collections import deque

from telebot.call.errors import Local
from telebot.sip.beats import Beats
from telebot.sip.stats import Totals

FIRST, LAST = 16_384, 32_767
TRIES = 64  # pairs of which another program may hold a port
TAKEN = (errno.EADDRINUSE, errno.EACCES)
DSCP_EF = 0xB8  # expedited forwarding, for networks that look (RFC 4594 section 4.1)


class Busy(Local):
    """No free pair of RTP ports: one call more than the range can carry (answer 503)."""


class Ports:
    """Pairs from `first` to `last`, both included. `first` = 0 lets the system choose."""

    def __init__(self, first: int = FIRST, last: int = LAST, *, seed: int | None = None) -> None:
        self.first, self.last = first, last
        pairs = [] if first == 0 else list(range(first + first % 2, last, 2))
        random.Random(seed).shuffle(pairs)  # a port is not to be guessed from the one before
        self._free = deque(pairs)
        self.beats = Beats()
        self.totals = Totals()

    @property
    def free(self) -> int:
        """Pairs that are left."""
        return len(self._free)

    def take(self, host: str) -> tuple[socket.socket, socket.socket]:
        """Sockets for RTP and RTCP, bound to `host`. Raises `Busy`, and `OSError` where `host`
        is no address of this machine."""
        for _ in range(TRIES if self.first == 0 else min(TRIES, len(self._free))):
            port = self._free.popleft() if self.first else 0
            pair = None
            try:
                pair = _bound(host, port)
            finally:
                if pair is None and port:
                    self._free.append(port)
            if pair is not None:
                return pair
        where = f"in {self.first}-{self.last}" if self.first else "left"
        raise Busy(f"no free pair of RTP ports {where}; widen sip.rtp_ports")

    def give_back(self, port: int) -> None:
        if self.first:
            self._free.append(port)

    def close(self) -> None:
        self.beats.close()


def _bound(host: str, port: int) -> tuple[socket.socket, socket.socket] | None:
    """None where one of the two is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    rtp = socket.socket(family, socket.SOCK_DGRAM)
    rtcp = socket.socket(family, socket.SOCK_DGRAM)
    try:
        for one in (rtp, rtcp):
            one.setblocking(False)
        if family == socket.AF_INET:
            rtp.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, DSCP_EF)
        else:
            rtp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, DSCP_EF)
        rtp.bind((host, port))
        got = rtp.getsockname()[1]
        if got % 2 == 0:
            rtcp.bind((host, got + 1))
            return rtp, rtcp
    except OSError as error:
        if error.errno not in TAKEN:
            rtp.close()
            rtcp.close()
            raise
    rtp.close()
    rtcp.close()
    return None
