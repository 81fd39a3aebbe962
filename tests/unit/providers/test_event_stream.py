"""Amazon's event stream: what is written is read again; what is damaged is told."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.providers.event_stream import decoded, encoded

pytestmark = pytest.mark.unit

HEADERS = {":message-type": "event", ":event-type": "AudioEvent"}


@given(st.binary(max_size=4096))
def test_a_message_comes_back(payload: bytes) -> None:
    (event,) = decoded(encoded(HEADERS, payload))
    assert (dict(event.headers), event.payload) == (HEADERS, payload)


def test_several_messages_in_one_piece() -> None:
    both = list(decoded(encoded(HEADERS, b"a") + encoded(HEADERS, b"b")))
    assert [event.payload for event in both] == [b"a", b"b"]


@given(st.integers(min_value=0, max_value=70), st.integers(min_value=1, max_value=255))
def test_a_damaged_message_is_no_message(at: int, by: int) -> None:
    data = bytearray(encoded(HEADERS, b"sound"))
    data[at % len(data)] ^= by
    try:
        events = list(decoded(bytes(data)))
    except ValueError:
        return
    assert events == []  # its length says that more is to come


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_told(data: bytes) -> None:
    with suppress(ValueError):
        list(decoded(data))
