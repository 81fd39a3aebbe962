"""Telephone events as peers send them, the well-behaved and the others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telebot.sip.keys import EVENT, KEYS, KeysIn, KeysOut

pytestmark = pytest.mark.unit


def event(code: int, duration: int, *, end: bool = False) -> bytes:
    return EVENT.pack(code, 0x80 * end | 10, duration)


def heard(packets) -> str:
    keys = KeysIn()
    return "".join(keys.packet(ts, marker, body, at) for ts, marker, body, at in packets)


def pressed(code: int, ts: int, at: float, *, ends: int = 3):
    """One key press as RFC 4733 has it."""
    for n in range(1, 5):
        yield ts, n == 1, event(code, 160 * n), at + 0.02 * n
    for _ in range(ends):
        yield ts, False, event(code, 800, end=True), at + 0.1


def test_one_press_is_one_key():
    assert heard(pressed(5, 1000, 0)) == "5"


def test_every_key():
    packets = [p for code in range(16) for p in pressed(code, 2000 * code, code / 4)]
    assert heard(packets) == KEYS


def test_the_same_key_twice():
    assert heard([*pressed(1, 0, 0), *pressed(1, 1600, 0.2)]) == "11"


@pytest.mark.parametrize("lost", range(7))
def test_any_one_packet_may_be_lost(lost):
    twice = [*pressed(7, 0, 0), *pressed(7, 1600, 0.2)]
    assert heard(twice[:lost] + twice[lost + 1 :]) == "77"


def test_all_ends_lost():
    assert heard([*pressed(1, 0, 0, ends=0), *pressed(2, 2400, 0.3, ends=0)]) == "12"


def test_only_an_end_arrives():
    assert heard([(0, False, event(9, 800, end=True), 0.0)]) == "9"


def test_a_late_packet_of_the_key_before():
    first, second = list(pressed(1, 0, 0)), list(pressed(2, 2400, 0.3))
    assert heard([*first, *second[:2], first[-1], *second[2:]]) == "12"


def test_a_key_held_down_for_longer_than_a_duration_can_say():
    long = [(0, True, event(3, 160), 0.0), (0, False, event(3, 0xFFFF), 8.19)]
    more = [(0xFFFF, False, event(3, 160), 8.21), (0xFFFF, False, event(3, 320, end=True), 8.23)]
    assert heard([*long, *more]) == "3"


def test_a_sender_that_counts_the_timestamp_on_within_a_press():
    packets = [(160 * n, False, event(4, 160 * n), 0.02 * n) for n in range(1, 6)]
    assert heard(packets) == "4"


def test_timestamps_wrap_around():
    assert heard([*pressed(1, 2**32 - 100, 0), *pressed(2, 2300, 0.3)]) == "12"


@pytest.mark.parametrize("body", [b"", b"\1", b"\1\2\3", bytes([16, 10, 0, 160]), b"\xff" * 4])
def test_what_is_no_key(body):
    keys = KeysIn()
    assert keys.packet(0, True, body, 0.0) == ""
    assert keys.junk == 1


@given(st.lists(st.tuples(st.integers(0, 2**32 - 1), st.booleans(), st.binary(max_size=6))))
def test_any_bytes_are_keys_or_junk(packets):
    keys = KeysIn()
    for n, (ts, marker, body) in enumerate(packets):
        assert keys.packet(ts, marker, body, n / 50) in (*KEYS, "")


def steps(out: KeysOut, samples: int = 160) -> list[tuple[bytes, bool, int]]:
    found = []
    while out:
        found.append(out.step(samples))
    return found


@pytest.mark.parametrize("samples", [80, 160, 240, 480])
def test_what_we_press_is_what_another_hears(samples):
    out, keys, ts, at = KeysOut(), KeysIn(), 0, 0.0
    out.press("12*#ab")
    got = ""
    began = 0
    while out:
        payload, begins, times = out.step(samples)
        began = ts if begins else began
        for n in range(times):
            got += keys.packet(began, begins and n == 0, payload, at)
        ts, at = ts + samples, at + samples / 8000
    assert got == "12*#AB"


def test_a_press_lasts_and_ends_three_times():
    out = KeysOut()
    out.press("1")
    *before, end = [step for step in steps(out) if step[2]]
    assert end == (event(1, 1280, end=True), False, 3)
    assert [body for body, _, _ in before] == [event(1, 160 * n) for n in range(1, 8)]


def test_a_pause_is_half_a_second():
    out = KeysOut()
    out.press("w")
    assert steps(out) == [(b"", False, 0)] * 25


def test_what_is_no_key_is_not_pressed_and_nothing_else_either():
    out = KeysOut()
    with pytest.raises(ValueError):
        out.press("12x")
    assert not out
