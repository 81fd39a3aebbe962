"""RTP packets read (RFC 3550 section 5.1). No I/O, no objects: fifty a second for each call."""

from __future__ import annotations

import struct

HEADER = struct.Struct("!BBHII")
LEAST = HEADER.size
MOST = 1500  # bytes of a datagram that a call's packets come in
PLAIN = 0x80  # version 2 and nothing else in the first byte
RTCP_FIRST, RTCP_LAST = 192, 223  # second byte of RTCP on a shared port (RFC 5761 section 4)


def payload(data: bytes) -> bytes | None:
    """What is behind the header, extension and contributing sources left out; None for what is no
    RTP. The header's numbers are the caller's to unpack."""
    size = len(data)
    if size < LEAST or size > MOST or data[0] >> 6 != 2:
        return None
    begins = LEAST + 4 * (data[0] & 0x0F)
    ends = size
    if data[0] & 0x10:
        if begins + 4 > size:
            return None
        begins += 4 + 4 * int.from_bytes(data[begins + 2 : begins + 4], "big")
    if data[0] & 0x20:
        if data[-1] == 0:
            return None
        ends -= data[-1]
    return data[begins:ends] if begins <= ends else None
