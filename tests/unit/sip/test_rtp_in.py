"""Caller audio over networks that lose, delay, reorder and repeat, on a virtual clock."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rtp_network import Line, Sent, packets, speech, through

from telebot.audio import g711
from telebot.sip.rtp_in import MOST_HELD, RtpIn

pytestmark = pytest.mark.unit

MINUTE = 60 * 8000
DELAY_S = 0.03


def in_time(line: Line) -> list[float]:
    """How long after its turn each piece came out, in seconds (the network's own delay, too)."""
    return [now - 1000.0 - (at_ms + len(ulaw) // 8 - 20) / 1000 for ulaw, at_ms, now in line.pieces]


def test_a_good_line_passes_through_at_once():
    line, audio = Line(), speech(1, MINUTE)
    through(line, packets(audio), lambda _: DELAY_S)
    assert line.heard == audio
    assert [at_ms for _, at_ms, _ in line.pieces] == list(range(0, 60_000, 20))
    assert max(in_time(line)) < DELAY_S + 0.001
    inbound = line.inbound
    assert (inbound.packets, inbound.expected, inbound.lost) == (3000, 3000, 0)
    assert inbound.jitter < 1


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_any_packet_time_whatever_was_announced(ptime_ms):
    line, audio = Line(), speech(2, MINUTE // 4)
    through(line, packets(audio, ptime_ms), lambda _: DELAY_S)
    assert line.heard == audio


def test_a_packet_time_that_changes_in_the_middle_of_the_call():
    line, audio = Line(), speech(2, 8000)
    at = seq = 0
    for size in (160, 160, 480, 80, 80, 240, 160):
        line.packet(seq, at, audio[at : at + size], 1000 + at / 8000)
        at, seq = at + size, seq + 1
    assert line.heard == audio[:at]


def test_three_percent_lost_are_concealed_in_their_time():
    rng, line, audio = random.Random(3), Line(), speech(3, MINUTE)
    lost = {n for n in range(10, 2990) if rng.random() < 0.03}
    through(line, packets(audio), lambda one: None if one.number in lost else DELAY_S)
    assert line.inbound.lost == len(lost)
    assert line.inbound.concealed == 160 * len(lost)
    assert len(line.heard) == len(audio)  # every gap is as long as what was lost
    for n in range(3000):
        if n not in lost:
            assert line.heard[160 * n : 160 * n + 160] == audio[160 * n : 160 * n + 160]
    assert max(in_time(line)) < DELAY_S + 0.1


def test_on_a_line_that_only_loses_the_wait_becomes_short():
    rng, line, audio = random.Random(4), Line(), speech(4, 2 * MINUTE)
    through(line, packets(audio), lambda _: None if rng.random() < 0.03 else DELAY_S)
    assert line.inbound.wait_s < 0.025


def jittered(rng: random.Random, spread_s: float):
    """Every packet on its own: it overtakes others where the spread is wider than a packet."""
    return lambda one: max(0.0, rng.gauss(0.1, spread_s)) if one.number else 0.0


def test_forty_milliseconds_of_jitter_and_three_percent_lost_cost_little_more_than_the_lost():
    rng, line, audio = random.Random(5), Line(), speech(5, 5 * MINUTE)
    delay = jittered(rng, 0.04)
    through(line, packets(audio), lambda one: None if rng.random() < 0.03 else delay(one))
    inbound = line.inbound
    assert 0.02 < inbound.lost / 15_000 < 0.04
    assert inbound.late / 15_000 < 0.005
    assert len(line.heard) == pytest.approx(len(audio), abs=1600)
    assert max(now - 1000.0 - at_ms / 1000 for _, at_ms, now in line.pieces) < 0.1 + 0.2 + 0.2
    assert 20 < inbound.jitter / 8 < 60


def test_in_jitter_without_loss_nearly_all_is_heard_as_it_was_said():
    rng, line, audio = random.Random(6), Line(), speech(6, MINUTE)
    through(line, packets(audio), jittered(rng, 0.03))
    right = sum(line.heard[n : n + 160] == audio[n : n + 160] for n in range(0, len(audio), 160))
    assert right / 3000 > 0.99


def test_a_queue_that_delays_without_overtaking_loses_nothing():
    """A slow link keeps the order; however late a packet is, nothing was missing before it."""
    rng, line, audio = random.Random(7), Line(), speech(7, MINUTE)
    free_at = 0.0

    def delay(one: Sent) -> float:
        nonlocal free_at
        free_at = max(free_at, one.sent_at + rng.expovariate(1 / 0.08))
        return free_at - one.sent_at

    through(line, packets(audio), delay)
    assert line.heard == audio
    assert line.inbound.concealed == 0


def test_neighbours_that_change_places():
    line, audio = Line(), speech(8, 16_000)
    through(line, packets(audio), lambda one: DELAY_S + 0.025 * (one.number % 2))
    assert line.heard == audio
    assert line.inbound.reordered > 30
    assert line.inbound.lost == 0


def test_every_packet_twice():
    line, audio = Line(), speech(9, 16_000)
    through(line, packets(audio), lambda _: DELAY_S, copies=lambda _: 2)
    assert line.heard == audio
    assert (line.inbound.duplicate, line.inbound.lost) == (100, 0)


def test_duplicates_behind_a_gap():
    line = Line()
    for seq in (1, 3, 3, 4, 4):
        line.packet(seq, 160 * seq, bytes([seq]) * 160)
    line.packet(2, 320, b"\2" * 160)
    assert line.heard == b"".join(bytes([n]) * 160 for n in (1, 2, 3, 4))
    assert line.inbound.duplicate == 2


def test_a_packet_after_its_gap_was_concealed_is_late_and_not_heard():
    line = Line()
    line.packet(1, 160, b"a" * 160)
    line.packet(3, 480, b"c" * 160, 1000.04)
    line.until(1000.2)
    assert line.inbound.lost == 1
    line.packet(2, 320, b"b" * 160, 1000.21)
    assert (line.inbound.lost, line.inbound.late) == (0, 1)
    assert len(line.heard) == 480
    assert b"b" not in line.heard[-160:]
    line.packet(2, 320, b"b" * 160)
    assert line.inbound.duplicate == 1
    assert line.inbound.wait_s == pytest.approx(0.18)  # the next one is waited for


def test_a_wait_never_grows_past_its_limit():
    line = Line(longest_wait_s=0.12)
    line.packet(1, 160, b"a" * 160)
    line.packet(3, 480, b"c" * 160)
    line.packet(2, 320, b"b" * 160, 1003.0)
    assert line.inbound.wait_s == 0.12


def test_a_clock_that_runs_a_ten_thousandth_fast_for_an_hour():
    line = Line()
    frame = speech(10, 160)
    for n in range(180_000):
        line.now = 1000.0 + n * 0.02 / 1.0001
        line.inbound.packet(n & 0xFFFF, 160 * n, frame, line.now)
    at_ms = line.pieces[-1][1]
    assert at_ms == 179_999 * 20  # the sender's clock, which is 360 ms ahead of ours by now
    assert line.inbound.concealed == 0
    assert len(line.pieces) == 180_000
    assert line.inbound.expected == 180_000
    assert line.inbound.jitter < 1


def test_sequence_numbers_and_timestamps_wrap_around():
    line, audio = Line(), speech(11, 32_000)
    delays = [DELAY_S + (0.03 if n in (34, 36, 40) else 0) for n in range(200)]
    through(
        line,
        packets(audio),
        lambda one: delays[one.number],
        first_seq=65_500,
        first_ts=2**32 - 160 * 38,
    )
    assert line.heard == audio
    assert [at_ms for _, at_ms, _ in line.pieces] == list(range(0, 4000, 20))
    assert line.inbound.highest == 65_500 + 199


def test_a_sender_that_says_nothing_in_silence():
    line = Line()
    line.packet(1, 0, b"a" * 160)
    line.packet(2, 160, b"b" * 160, 1000.02)
    line.packet(3, 4160, b"c" * 160, 1000.52)  # half a second without a packet, nothing lost
    assert line.heard == b"a" * 160 + b"b" * 160 + g711.SILENCE * 3840 + b"c" * 160
    assert line.pieces[-1][1] == 520
    assert line.inbound.concealed == 0


def test_what_was_bridged_is_not_filled_again():
    line = Line()
    line.packet(1, 0, b"a" * 160)
    for n in range(20):
        line.until(1000.3 + 0.02 * n)
        line.inbound.fill(line.now, 0.2, lambda samples: b"n" * samples)
    line.packet(2, 160 + 8000, b"b" * 160, 1001.02)
    times = [(at_ms, at_ms + len(ulaw) / 8) for ulaw, at_ms, _ in line.pieces]
    assert all(end == pytest.approx(begin, abs=1) for (_, end), (begin, _) in pairwise(times))
    assert times[-1] == (1020, 1040)


def test_what_was_only_stuck_is_heard_whole_though_it_was_bridged():
    line = Line()
    line.packet(1, 0, b"a" * 160)
    line.until(1000.5)
    line.inbound.fill(line.now, 0.2, lambda samples: b"n" * samples)
    for seq in range(2, 26):
        line.packet(seq, 160 * (seq - 1), bytes([seq]) * 160)
    said = [(at_ms, ulaw) for ulaw, at_ms, _ in line.pieces if b"n" not in ulaw]
    assert said[1:] == [(20 * (seq - 1), bytes([seq]) * 160) for seq in range(2, 26)]


def test_another_source_goes_on_in_the_calls_time():
    line = Line()
    for n in range(10):
        line.packet(n, 160 * n, b"a" * 160, 1000 + 0.02 * n)
    line.inbound.new_source()
    for n in range(10):
        line.packet(4000 + n, 77_777 + 160 * n, b"b" * 160, 1000.3 + 0.02 * n)
    times = [at_ms for ulaw, at_ms, _ in line.pieces if ulaw == b"b" * 160]
    assert times == list(range(300, 500, 20))
    assert line.inbound.expected == line.inbound.packets == 20
    assert line.inbound.lost == 0


@pytest.mark.parametrize("jump", [10**9, -(10**6), 5_000_000])
def test_a_timestamp_that_jumps_leaves_the_calls_time_alone(jump):
    line = Line()
    for n in range(10):
        line.packet(n, 160 * n, b"a" * 160, 1000 + 0.02 * n)
    for n in range(10, 20):
        line.packet(n, 160 * n + jump, b"b" * 160, 1000 + 0.02 * n)
    assert [at_ms for _, at_ms, _ in line.pieces] == list(range(0, 400, 20))
    assert len(line.heard) == 3200


@pytest.mark.parametrize("count", [0, 1, 20, 159, 320])
def test_a_sender_whose_timestamps_do_not_fit_its_audio_is_heard_nearly_without_holes(count):
    rng, line, audio = random.Random(12), Line(), speech(12, MINUTE)
    at = 1000.0
    for n in range(3000):
        at = max(at, 1000 + 0.02 * n + rng.uniform(0, 0.03))
        line.packet(n, count * n, audio[160 * n : 160 * n + 160], at)
    assert len(audio) <= len(line.heard) <= len(audio) + 2.1 * 8000
    assert audio[-8000:] in line.heard


def test_sequence_numbers_that_begin_anew_are_believed_at_the_second():
    line = Line()
    line.packet(10, 0, b"a" * 160)
    line.packet(30_000, 160, b"x" * 160, 1000.02)
    assert line.heard == b"a" * 160
    line.packet(30_001, 320, b"b" * 160, 1000.04)
    line.packet(30_002, 480, b"c" * 160, 1000.06)
    assert line.heard.endswith(b"b" * 160 + b"c" * 160)


def test_sequence_numbers_that_go_back_a_little_with_new_audio_are_no_duplicates():
    line = Line()
    for n in range(60, 90):
        line.packet(n, 160 * n, b"a" * 160, 1000 + 0.02 * n)
    for n in range(90, 100):
        line.packet(n - 40, 160 * n, b"b" * 160, 1000 + 0.02 * n)
    assert line.heard.count(b"b") == 9 * 160
    assert line.inbound.duplicate == 0


def test_a_long_outage_is_one_gap_and_not_an_hour_of_noise():
    line = Line()
    line.packet(1, 160, b"a" * 160)
    line.packet(1001, 160_160, b"b" * 160, 1020.0)
    line.packet(1002, 160_320, b"c" * 160, 1020.02)
    line.until(1021)
    assert line.heard.endswith(b"b" * 160 + b"c" * 160)
    assert line.pieces[-1][1] == 20_020
    assert len(line.heard) <= 480 + 8000
    assert line.inbound.lost == 999


def test_packets_without_audio_take_their_turn():
    """Events share the sequence numbers of audio (RFC 4733 section 2.1); they are no loss."""
    line = Line()
    line.packet(1, 160, b"a" * 160)
    line.packet(3, 320, b"", 1000.03)
    line.packet(2, 320, b"", 1000.04)
    line.packet(4, 800, b"b" * 160, 1000.08)
    assert line.heard == b"a" * 160 + g711.SILENCE * 480 + b"b" * 160
    assert line.inbound.lost == 0


def test_behind_a_gap_only_so_much_is_kept():
    line = Line()
    line.packet(0, 0, b"a" * 160)
    for seq in range(2, 2 + 3 * MOST_HELD):
        line.packet(seq, 160 * seq, b"b" * 160)
    assert line.inbound.lost == 1
    assert len(line.heard) == 160 * (2 + 3 * MOST_HELD)


@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF) | st.integers(0, 20),
            st.integers(0, 0xFFFFFFFF) | st.integers(0, 4000),
            st.integers(0, 400),
            st.floats(0, 0.5),
        ),
        max_size=60,
    )
)
def test_whatever_comes_nothing_breaks_and_little_is_made_up(arrivals):
    pieces: list[bytes] = []
    inbound = RtpIn(lambda ulaw, at_ms: pieces.append(ulaw))
    now = 0.0
    for seq, ts, size, wait_s in arrivals:
        now += wait_s
        inbound.packet(seq, ts, b"x" * size, now)
        inbound.tick(now)
        assert len(inbound._held) <= MOST_HELD
    inbound.tick(now + 1)
    assert not inbound.waiting
    assert inbound.expected >= 0
    assert sum(map(len, pieces)) <= sum(size + 8000 for _, _, size, _ in arrivals)
