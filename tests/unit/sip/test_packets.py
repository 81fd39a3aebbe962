"""RTP headers with all that may stand in them, and bytes that are none."""

from __future__ import annotations

import pytest
from aiortp import RtpPacket
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip.packets import payload

pytestmark = pytest.mark.unit

HEAD = bytes([0x80, 0]) + bytes(10)


def head(first: int) -> bytes:
    return bytes([first, 0]) + bytes(10)


@pytest.mark.parametrize(
    ("data", "body"),
    [
        (HEAD + b"abc", b"abc"),
        (head(0x82) + bytes(8) + b"abc", b"abc"),  # two contributing sources
        (head(0x90) + b"\xbe\xde\0\1" + bytes(4) + b"abc", b"abc"),  # an extension
        (head(0xA0) + b"abc\0\0\3", b"abc"),  # padding
        (head(0xB1) + bytes(4) + b"\xbe\xde\0\0" + b"abc\1", b"abc"),
        (HEAD, b""),
    ],
)
def test_what_is_behind_the_header(data, body):
    assert payload(data) == body


@pytest.mark.parametrize(
    "data",
    [
        b"",
        HEAD[:11],
        head(0x00) + b"abc",
        head(0x40) + b"abc",
        head(0x8F) + bytes(8),
        head(0x90) + b"\0",
        head(0x90) + b"\0\0\0\7abc",
        head(0xA0) + b"abc\0",
        head(0xA0) + b"abc\xff",
        HEAD + bytes(2000),
    ],
)
def test_what_is_no_packet(data):
    assert payload(data) is None


@given(
    st.binary(max_size=60)
    | st.builds(
        lambda a, b: bytes([0x80 | a & 0x3F]) + b, st.integers(0, 255), st.binary(max_size=60)
    )
)
def test_any_bytes_are_read_as_aiortp_reads_them(data):
    try:
        theirs = RtpPacket.parse(data).payload
    except ValueError:
        theirs = None
    assert payload(data) == theirs
